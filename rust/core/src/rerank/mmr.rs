//! Maximal marginal relevance.

use super::Candidates;
use super::greedy::{self, Choice, Rule};
use crate::{Error, Result};

/// Chooses `k` candidates of every list by maximal marginal relevance.
///
/// Carbonell, Goldstein: *The use of MMR, diversity-based reranking for reordering documents and producing summaries*,
/// SIGIR 1998. One after the other, the candidate with the highest
///
/// `(1 − diversity) · score − diversity · max(0, max cos(candidate, chosen))`
///
/// is chosen, evaluated in f64; of equals the first. Similarity is thus from 0 to 1, as for the texts of the paper, and 0
/// while nothing is chosen; vectors in opposite directions are as different as orthogonal ones. The first `keep` positions
/// go to the highest scores; values never rise along the rest of a list.
///
/// # Arguments
///
/// `diversity` is from 0 to 1. `positions` and `values` (lists × `k`) receive the places of the chosen candidates in
/// their list and their values; where a list has fewer than `k` candidates, -1 and -∞. Up to `threads` threads work
/// (0: all).
///
/// # Errors
///
/// [`Error::Share`] for a `diversity` outside 0 to 1; [`Error::Range`] for a zero `k`; [`Error::Length`] for buffers
/// that do not fit; [`Error::NotFinite`] if the vector of a candidate that is compared or chosen holds NaN or infinity,
/// or has a squared length beyond f32.
pub fn mmr(
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
    greedy::choose(candidates, choice, (positions, values), threads, || Mmr {
        diversity,
        similar: Vec::new(),
    })
}

struct Mmr {
    diversity: f64,
    /// The highest cosine of each candidate with those chosen that it was compared with, at least 0.
    similar: Vec<f64>,
}

impl Rule for Mmr {
    fn start(&mut self, count: usize, _: usize) {
        self.similar.clear();
        self.similar.resize(count, 0.0);
    }

    fn value(&self, candidate: usize, score: f64) -> f64 {
        (1.0 - self.diversity) * score - self.diversity * self.similar[candidate]
    }

    fn compare(&mut self, candidate: usize, _: usize, cosines: &[f64]) {
        let similar = &mut self.similar[candidate];
        *similar = cosines.iter().copied().fold(*similar, f64::max);
    }

    fn choose(&mut self, _: usize) {}
}
