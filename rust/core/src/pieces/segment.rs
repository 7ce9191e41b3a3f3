//! Merging learned pairs in histories.

use std::collections::HashMap;

use super::history::ordered;
use super::{Merge, check_tokens, rows};
use crate::{Error, Result};

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
    let mut ranks = HashMap::with_capacity(merges.len());
    for (rank, &[one, other]) in merges.iter().enumerate() {
        check_tokens("a token of `merges`", &[one, other], base + rank)?;
        if ranks.insert(ordered(one, other), rank).is_some() {
            return Err(Error::Range {
                what: "a repeated merge's number",
                got: rank,
                min: 0,
                max: rank.saturating_sub(1),
            });
        }
    }
    let mut pieces = Vec::with_capacity(tokens.len());
    let mut ends = Vec::with_capacity(offsets.len());
    ends.push(0);
    for row in rows {
        let mut row = tokens[row].to_vec();
        merge_all(&mut row, &ranks, base);
        pieces.extend_from_slice(&row);
        ends.push(pieces.len() as i64);
    }
    Ok((pieces, ends))
}

fn merge_all(row: &mut Vec<u32>, ranks: &HashMap<Merge, usize>, base: usize) {
    let rank = |one: u32, other: u32| ranks.get(&ordered(one, other)).copied();
    let mut between: Vec<Option<usize>> = row.windows(2).map(|pair| rank(pair[0], pair[1])).collect();
    while let Some((place, best)) = between
        .iter()
        .enumerate()
        .filter_map(|(place, &found)| Some((place, found?)))
        .min_by_key(|&(place, found)| (found, place))
    {
        row[place] = (base + best) as u32;
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
