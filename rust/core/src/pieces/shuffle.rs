//! Random orders of the features of actions: set permutation regularization.

use super::rows;
use crate::guard::Steps;
use crate::rng::Rng;
use crate::{Error, Result, memory};

/// Puts the tokens of each action, `width` of them, in a random order.
///
/// Actions are sets: what comes out depends on the tokens of an action, its place in its history and the history's seed,
/// not on the order in which its tokens are given, nor on other histories. All orders are as likely.
///
/// `offsets` has the first action of each history and, at the end, their number.
///
/// # Errors
///
/// [`Error::Length`] or [`Error::Range`] if the arrays do not fit each other.
pub fn shuffle(actions: &[u32], width: usize, offsets: &[i64], seeds: &[u64]) -> Result<Vec<u32>> {
    if width == 0 {
        return Err(Error::Range {
            what: "the number of features",
            got: 0,
            min: 1,
            max: usize::MAX,
        });
    }
    let rows = rows(offsets, actions.len() / width)?;
    if seeds.len() != rows.len() {
        return Err(Error::Length {
            what: "`seeds`, one for each history,",
            expected: rows.len(),
            got: seeds.len(),
        });
    }
    let mut shuffled = memory::with_capacity(actions.len());
    shuffled.extend_from_slice(actions);
    let mut steps = Steps::default();
    for (row, &seed) in rows.into_iter().zip(seeds) {
        steps.step();
        let mut rng = Rng::new(seed);
        for action in shuffled[row.start * width..row.end * width].chunks_exact_mut(width) {
            action.sort_unstable();
            for place in (1..width).rev() {
                action.swap(place, rng.below(place + 1));
            }
        }
    }
    Ok(shuffled)
}
