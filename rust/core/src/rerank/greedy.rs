//! Greedy choice of candidates whose values never rise, evaluated lazily.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::mem;

use super::Candidates;
use super::list::{BadVector, List};
use crate::Result;

/// The rule by which candidates are valued, with what it knows of a list.
pub(super) trait Rule {
    /// Starts with a list of `count` candidates, of which at most `k` will be chosen.
    fn start(&mut self, count: usize, k: usize);

    /// Value of a candidate, given the comparisons so far. More comparisons never raise it.
    fn value(&self, candidate: usize, score: f64) -> f64;

    /// Takes the cosines of a candidate with the chosen ones from number `first` on into account.
    fn compare(&mut self, candidate: usize, first: usize, cosines: &[f64]);

    /// Adds a candidate, which was compared with all chosen ones, to those.
    fn choose(&mut self, candidate: usize);
}

/// A candidate with an upper bound of its value; the greatest has the highest bound, and of equals the first place.
#[derive(Clone, Copy, PartialEq)]
struct Bound {
    value: f64,
    candidate: usize,
    /// Number of chosen candidates with which it was compared.
    compared: usize,
}

impl Eq for Bound {}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> Ordering {
        // The sum makes one zero of two.
        (self.value + 0.0)
            .total_cmp(&(other.value + 0.0))
            .then_with(|| other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// How a list is chosen.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    /// Length of the list.
    pub(super) k: usize,
    /// Number of the first positions, in the order of the values that candidates have while nothing is chosen.
    pub(super) keep: usize,
    /// True if values depend on what was chosen.
    pub(super) compared: bool,
}

/// Chooses candidates of every list, one after the other that with the highest value.
pub(super) fn choose<R: Rule>(
    candidates: &Candidates<'_>,
    choice: Choice,
    chosen: (&mut [i32], &mut [f32]),
    threads: usize,
    rule: impl Fn() -> R + Sync,
) -> Result<()> {
    candidates.for_each(
        choice.k,
        chosen,
        threads,
        || (rule(), Vec::new()),
        |(rule, bounds), list, positions, values| one(rule, bounds, list, choice, positions, values),
    )
}

fn one<R: Rule>(
    rule: &mut R,
    bounds: &mut Vec<Bound>,
    list: &mut List<'_>,
    Choice { keep, compared, .. }: Choice,
    positions: &mut [i32],
    values: &mut [f32],
) -> std::result::Result<(), BadVector> {
    rule.start(list.len(), positions.len());
    bounds.clear();
    bounds.extend(list.scores.iter().enumerate().map(|(candidate, &score)| Bound {
        value: rule.value(candidate, score),
        candidate,
        compared: 0,
    }));
    let mut heap = BinaryHeap::from(mem::take(bounds));
    let mut count = 0;
    while count < positions.len()
        && let Some(mut top) = heap.peek_mut()
    {
        let candidate = top.candidate;
        if compared && top.compared < count {
            rule.compare(candidate, top.compared, list.cosines(candidate, top.compared)?);
            if count >= keep {
                top.value = rule.value(candidate, list.scores[candidate]);
                top.compared = count;
                continue;
            }
        }
        positions[count] = list.places[candidate] as i32;
        values[count] = top.value as f32;
        std::collections::binary_heap::PeekMut::pop(top);
        if compared {
            rule.choose(candidate);
            list.choose(candidate)?;
        }
        count += 1;
    }
    *bounds = heap.into_vec();
    Ok(())
}
