//! Merging learned pairs in histories.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::BuildHasherDefault;

use super::pair::{PairMap, key, ordered};
use super::{Merge, check_tokens, check_vocabulary, rows};
use crate::guard::Steps;
use crate::{Error, Result, memory};

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
    let mut pieces = memory::with_capacity(tokens.len());
    let mut ends = memory::with_capacity(offsets.len());
    ends.push(0);
    let mut row = Row::default();
    let mut steps = Steps::default();
    for place in rows {
        row.merge_all(&tokens[place], &ranks, base, &mut steps);
        pieces.extend(row.pieces());
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

/// The tokens of one history while they are merged. A merge takes the place of the first of its two tokens; the place of the
/// second one is passed over from then on. Takes time n log n for n tokens.
#[derive(Default)]
struct Row {
    tokens: Vec<u32>,
    /// The place before each place that is left, and the one behind it; [`NONE`] at the ends.
    before: Vec<u32>,
    behind: Vec<u32>,
    /// Merges that may be made: rank, then the place of the first token. Those whose tokens have changed since are dropped.
    waiting: BinaryHeap<Reverse<(u32, u32)>>,
}

/// In the place of a neighbour: there is none.
const NONE: u32 = u32::MAX;

impl Row {
    fn merge_all(&mut self, tokens: &[u32], ranks: &PairMap<u32>, base: usize, steps: &mut Steps) {
        let places = tokens.len() as u32;
        self.tokens.clear();
        self.tokens.extend_from_slice(tokens);
        self.before.clear();
        self.before.extend((0..places).map(|place| place.wrapping_sub(1)));
        self.behind.clear();
        self.behind.extend(1..places);
        self.behind.extend((places > 0).then_some(NONE));
        self.waiting.clear();
        for place in 0..places {
            steps.step();
            self.offer(place, ranks);
        }
        while let Some(Reverse((rank, place))) = self.waiting.pop() {
            steps.step();
            if self.rank(place, ranks) != Some(rank) {
                continue;
            }
            let gone = self.behind[place as usize];
            let next = self.behind[gone as usize];
            self.tokens[place as usize] = (base + rank as usize) as u32;
            self.behind[place as usize] = next;
            // Nothing can begin where a token has gone.
            self.behind[gone as usize] = NONE;
            if next != NONE {
                self.before[next as usize] = place;
            }
            self.offer(place, ranks);
            if self.before[place as usize] != NONE {
                self.offer(self.before[place as usize], ranks);
            }
        }
    }

    /// The rank of the merge of a token and the next one, if there is such a merge.
    fn rank(&self, place: u32, ranks: &PairMap<u32>) -> Option<u32> {
        let next = self.behind[place as usize];
        let other = *self.tokens.get(next as usize)?;
        ranks
            .get(&key(ordered(self.tokens[place as usize], other)))
            .copied()
    }

    fn offer(&mut self, place: u32, ranks: &PairMap<u32>) {
        if let Some(rank) = self.rank(place, ranks) {
            self.waiting.push(Reverse((rank, place)));
        }
    }

    /// The tokens that are left, in order.
    fn pieces(&self) -> impl Iterator<Item = u32> {
        let first = (!self.tokens.is_empty()).then_some(0_u32);
        let next = |&place: &u32| Some(self.behind[place as usize]).filter(|&next| next != NONE);
        std::iter::successors(first, next).map(|place| self.tokens[place as usize])
    }
}
