//! Merging learned pairs in histories.

use std::hash::BuildHasherDefault;

use super::pair::{PairMap, key, ordered};
use super::{Merge, check_tokens, check_vocabulary, rows};
use crate::{Error, Result};

/// The rank of a pair that is not merged: behind all others.
const NEVER: u32 = u32::MAX;

/// Merges adjacent tokens of each history, the earliest learned merge first, the leftmost place first, until none applies.
///
/// `tokens` has the features of all histories in the order in which they are to be read, `offsets` where each begins and,
/// at the end, their number. Gives tokens and offsets of the same kind.
///
/// # Errors
///
/// [`Error::Length`] or [`Error::Range`] if the arrays do not fit each other, or a merge needs a token that no
/// earlier one makes.
pub fn segment(
    tokens: &[u32],
    offsets: &[i64],
    merges: &[Merge],
    base: usize,
) -> Result<(Vec<u32>, Vec<i64>)> {
    let rows = rows(offsets, tokens.len())?;
    check_tokens("a token", tokens, base)?;
    let ranks = ranks(merges, base)?;
    let mut pieces = Vec::with_capacity(tokens.len());
    let mut ends = Vec::with_capacity(offsets.len());
    ends.push(0);
    let (mut row, mut between) = (Vec::new(), Vec::new());
    for place in rows {
        row.clear();
        row.extend_from_slice(&tokens[place]);
        merge_all(&mut row, &mut between, &ranks, base);
        pieces.extend_from_slice(&row);
        ends.push(pieces.len() as i64);
    }
    Ok((pieces, ends))
}

/// The number of each merge by its pair.
fn ranks(merges: &[Merge], base: usize) -> Result<PairMap<u32>> {
    check_vocabulary(base.saturating_add(merges.len()))?;
    let mut ranks = PairMap::with_capacity_and_hasher(merges.len(), BuildHasherDefault::default());
    for (rank, &[one, other]) in merges.iter().enumerate() {
        check_tokens("a token of `merges`", &[one, other], base + rank)?;
        if ranks.insert(key(ordered(one, other)), rank as u32).is_some() {
            return Err(Error::Range {
                what: "a repeated merge's number",
                got: rank,
                min: 0,
                max: rank.saturating_sub(1),
            });
        }
    }
    Ok(ranks)
}

fn merge_all(row: &mut Vec<u32>, between: &mut Vec<u32>, ranks: &PairMap<u32>, base: usize) {
    let rank = |one: u32, other: u32| ranks.get(&key(ordered(one, other))).copied().unwrap_or(NEVER);
    between.clear();
    between.extend(row.windows(2).map(|pair| rank(pair[0], pair[1])));
    while let Some(&best) = between.iter().min()
        && best != NEVER
        && let Some(place) = between.iter().position(|&found| found == best)
    {
        row[place] = (base + best as usize) as u32;
        row.remove(place + 1);
        between.remove(place);
        if place > 0 {
            between[place - 1] = rank(row[place - 1], row[place]);
        }
        if place < between.len() {
            between[place] = rank(row[place], row[place + 1]);
        }
    }
}
