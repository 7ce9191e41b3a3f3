//! Max-sum diversification.

use super::Candidates;
use super::greedy::{self, Choice, Rule};
use crate::{Error, Result};

/// Chooses `k` candidates of every list by greedy max-sum diversification.
///
/// Borodin, Lee, Ye: *Max-sum diversification, monotone submodular functions and dynamic updates*, PODS 2012. The
/// objective of a set is the sum of `(1 − diversity) · score`, less `diversity / (k − 1)` times the sum of
/// `max(0, cosine)` over all pairs. One after the other, the candidate with the highest increase is chosen, evaluated in
/// f64; of equals the first. Unlike [`super::mmr()`], which looks at the most similar item of the list, every item of the
/// list counts, as in intra-list diversity.
///
/// # Arguments
///
/// `diversity` is from 0 to 1. `positions` and `values` (lists × `k`) receive the places of the chosen candidates in
/// their list, in the order in which they were chosen, and the increases; where a list has fewer than `k` candidates, -1
/// and -∞. Up to `threads` threads work (0: all).
///
/// # Errors
///
/// Those of [`super::mmr()`].
pub fn max_sum(
    candidates: &Candidates<'_>,
    diversity: f64,
    k: usize,
    positions: &mut [i32],
    values: &mut [f32],
    threads: usize,
) -> Result<()> {
    Error::check_share("diversity", diversity)?;
    let choice = Choice {
        k,
        keep: 0,
        compared: diversity > 0.0,
    };
    greedy::choose(candidates, choice, (positions, values), threads, || MaxSum {
        diversity,
        others: 1.0,
        similar: Vec::new(),
    })
}

struct MaxSum {
    diversity: f64,
    /// Number of other items in a full list, at least 1.
    others: f64,
    /// The sum of `max(0, cosine)` of each candidate with those chosen that it was compared with.
    similar: Vec<f64>,
}

impl Rule for MaxSum {
    fn start(&mut self, count: usize, k: usize) {
        self.others = k.saturating_sub(1).max(1) as f64;
        self.similar.clear();
        self.similar.resize(count, 0.0);
    }

    fn value(&self, candidate: usize, score: f64) -> f64 {
        (1.0 - self.diversity) * score - self.diversity * (self.similar[candidate] / self.others)
    }

    fn compare(&mut self, candidate: usize, _: usize, cosines: &[f64]) {
        self.similar[candidate] += cosines.iter().map(|&cosine| cosine.max(0.0)).sum::<f64>();
    }

    fn choose(&mut self, _: usize) {}
}
