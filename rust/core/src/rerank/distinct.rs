//! Removal of near-duplicates.

use super::Candidates;
use crate::{Error, Result};

/// Chooses the first `k` candidates of every list that are not similar to an earlier chosen one.
///
/// A candidate is skipped if its cosine with a chosen one, rounded to f32, is `threshold` or more. The others keep
/// their order and their scores.
///
/// # Arguments
///
/// `threshold` is from 0 to 1; the others are those of [`super::mmr()`], with scores for values.
///
/// # Errors
///
/// Those of [`super::mmr()`], with `threshold` for `diversity`.
pub fn distinct(
    candidates: &Candidates<'_>,
    threshold: f64,
    k: usize,
    positions: &mut [i32],
    values: &mut [f32],
    threads: usize,
) -> Result<()> {
    Error::check_share("threshold", threshold)?;
    let threshold = threshold as f32;
    let chosen = (positions, values);
    candidates.for_each(
        k,
        chosen,
        threads,
        || (),
        |(), list, positions, values| {
            let mut count = 0;
            for candidate in 0..list.len() {
                if count == positions.len() {
                    break;
                }
                let cosines = list.cosines(candidate, 0)?;
                if cosines.iter().any(|&cosine| cosine as f32 >= threshold) {
                    continue;
                }
                list.choose(candidate)?;
                positions[count] = list.places[candidate] as i32;
                values[count] = list.scores[candidate] as f32;
                count += 1;
            }
            Ok(())
        },
    )
}
