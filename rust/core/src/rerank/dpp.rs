//! Greedy inference of a determinantal point process.

use super::Candidates;
use super::greedy::{self, Choice, Rule};
use crate::{Error, Result};

/// Least conditional variance that counts: about the precision of cosines of f32 vectors.
pub const FLOOR: f64 = 1e-6;

/// Chooses `k` candidates of every list by greedy maximization of a determinant.
///
/// Chen, Zhang, Zhou: *Fast greedy MAP inference for determinantal point process to improve recommendation diversity*,
/// `NeurIPS` 2018. With S, the cosines of the candidates (1 on the diagonal), every step adds the candidate that
/// increases
///
/// `(1 − diversity) · Σ score + diversity · ln det S` of the chosen ones
///
/// most, of equals the first. The increase of a candidate is `(1 − diversity) · score + diversity · ln d²`, where d²
/// is its variance given the chosen ones: the square of the last element of the Cholesky factor, which is extended by
/// a row a step, in f64 and in the order of the steps. A d² below [`FLOOR`] counts as that much, and a chosen candidate
/// with such a d² adds no row. Thus lists are full even if their items outnumber the dimensions of their vectors. The
/// first `keep` positions go to the highest scores; values never rise along the rest of a list.
///
/// # Arguments
///
/// As for [`super::mmr()`].
///
/// # Errors
///
/// Those of [`super::mmr()`].
pub fn dpp(
    candidates: &Candidates<'_>,
    diversity: f64,
    keep: usize,
    k: usize,
    positions: &mut [i32],
    values: &mut [f32],
    threads: usize,
) -> Result<()> {
    Error::check_share("diversity", diversity)?;
    let choice = Choice {
        k,
        keep,
        compared: diversity > 0.0,
    };
    greedy::choose(candidates, choice, (positions, values), threads, || Dpp {
        diversity,
        ..Dpp::default()
    })
}

#[derive(Default)]
struct Dpp {
    diversity: f64,
    /// Elements of a row of `factors`: at most one for each chosen candidate.
    k: usize,
    /// d² of each candidate, given those chosen that it was compared with.
    variances: Vec<f64>,
    /// The row of each candidate in the Cholesky factor, as far as it was compared.
    factors: Vec<f64>,
    /// Rows of the chosen candidates, in the same form, and their d; 0 for one without a column.
    chosen: Vec<f64>,
    deviations: Vec<f64>,
    /// For each chosen candidate, the number of columns before its own.
    columns: Vec<usize>,
}

impl Rule for Dpp {
    fn start(&mut self, count: usize, k: usize) {
        self.k = k.min(count);
        self.variances.clear();
        self.variances.resize(count, 1.0);
        self.factors.resize(count * self.k, 0.0);
        self.chosen.clear();
        self.deviations.clear();
        self.columns.clear();
    }

    fn value(&self, candidate: usize, score: f64) -> f64 {
        let relevance = (1.0 - self.diversity) * score;
        if self.diversity > 0.0 {
            return relevance + self.diversity * self.variances[candidate].max(FLOOR).ln();
        }
        relevance
    }

    fn compare(&mut self, candidate: usize, first: usize, cosines: &[f64]) {
        let row = &mut self.factors[candidate * self.k..][..self.k];
        for (number, &cosine) in (first..).zip(cosines) {
            let deviation = self.deviations[number];
            if deviation == 0.0 {
                continue;
            }
            let (other, column) = (&self.chosen[number * self.k..][..self.k], self.columns[number]);
            let mut element = cosine;
            for (own, other) in row[..column].iter().zip(other) {
                element -= other * own;
            }
            element /= deviation;
            row[column] = element;
            self.variances[candidate] -= element * element;
        }
    }

    fn choose(&mut self, candidate: usize) {
        let column = self
            .deviations
            .iter()
            .filter(|&&deviation| deviation > 0.0)
            .count();
        let variance = self.variances[candidate];
        self.columns.push(column);
        self.deviations
            .push(if variance > FLOOR { variance.sqrt() } else { 0.0 });
        self.chosen
            .extend_from_slice(&self.factors[candidate * self.k..][..self.k]);
    }
}
