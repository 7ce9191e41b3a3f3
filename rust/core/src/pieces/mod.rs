//! Sequences of feature sets made into sequences of learned pieces: `ActionPiece` (Hou et al., ICML 2025).
//!
//! [`learn`] finds which features to merge, [`shuffle`] puts the features of each action in a random order, [`segment`]
//! merges them in histories.

mod history;
mod learn;
mod pair;
mod segment;
mod shuffle;

pub use learn::learn;
pub use segment::segment;
pub use shuffle::shuffle;

use std::ops::Range;

use crate::{Error, Result};

/// Two tokens that are merged, the smaller first. The merge at place `k` of a list makes token `base + k`.
pub type Merge = [u32; 2];

/// The most tokens, merged ones included.
const MAX_TOKENS: usize = 1 << 31;

/// Fails unless there are few enough tokens to number.
fn check_vocabulary(tokens: usize) -> Result<()> {
    if tokens <= MAX_TOKENS {
        return Ok(());
    }
    Err(Error::Range {
        what: "the size of the vocabulary",
        got: tokens,
        min: 1,
        max: MAX_TOKENS,
    })
}

/// Where each row is in an array of `len` elements, or an error unless `offsets` start at 0, never fall, and end at `len`.
fn rows(offsets: &[i64], len: usize) -> Result<Vec<Range<usize>>> {
    let places: Vec<usize> = offsets
        .iter()
        .map_while(|&place| usize::try_from(place).ok())
        .collect();
    let whole = places.len() == offsets.len() && places.is_sorted();
    if whole && places.first() == Some(&0) && places.last() == Some(&len) {
        return Ok(places.windows(2).map(|pair| pair[0]..pair[1]).collect());
    }
    Err(Error::Length {
        what: "what `offsets` part, which must start at 0 and never fall,",
        expected: places.last().copied().unwrap_or(0),
        got: len,
    })
}

/// Fails unless every token is below `bound`.
fn check_tokens(what: &'static str, tokens: &[u32], bound: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= bound) {
        None => Ok(()),
        Some(&token) => Err(Error::Range {
            what,
            got: token as usize,
            min: 0,
            max: bound.saturating_sub(1),
        }),
    }
}
