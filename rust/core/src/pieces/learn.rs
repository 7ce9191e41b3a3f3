//! Which tokens to merge, one after the other: the pair that is most often adjacent.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};

use super::history::History;
use super::pair::{PairMap, key};
use super::{Merge, check_tokens, check_vocabulary, rows};
use crate::guard::{self, Steps};
use crate::{Error, Result};

/// State of a pair.
#[derive(Default)]
struct Known {
    /// The sum of its weights in all histories.
    count: i64,
    /// Histories that have had it, in some of which it may be no more.
    histories: Vec<u32>,
}

/// Learns up to `merges` merges from histories of actions with `width` tokens each, all below `base`.
///
/// Every step merges the pair with the largest weighted count (Hou et al., 2025; of equal ones that with the
/// smallest tokens) in all histories, and counts again only those that had it. Stops early when no pair is left.
///
/// `actions` has the tokens of all actions, `offsets` the first action of each history and, at the end, their number.
///
/// # Errors
///
/// [`Error::Length`] or [`Error::Range`] if the arrays do not fit each other.
pub fn learn(
    actions: &[u32],
    width: usize,
    offsets: &[i64],
    base: usize,
    merges: usize,
) -> Result<Vec<Merge>> {
    if width == 0 {
        return Err(Error::Range {
            what: "the number of features",
            got: 0,
            min: 1,
            max: usize::MAX,
        });
    }
    check_vocabulary(base.saturating_add(merges))?;
    let rows = rows(offsets, actions.len() / width)?;
    check_tokens("a token of `actions`", actions, base)?;
    let mut histories: Vec<History> = rows
        .iter()
        .map(|row| History::new(&actions[row.start * width..row.end * width], width))
        .collect();
    let mut counts = Counts::default();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (number, history) in histories.iter().enumerate() {
        guard::check();
        counted(history, &mut after);
        counts.change(number as u32, &[], &after);
    }
    counts.queue_changed();
    let mut found = Vec::new();
    let mut made = HashMap::new();
    while found.len() < merges {
        guard::check();
        let Some((pair, mut affected)) = counts.take_best() else {
            break;
        };
        // A pair that has been merged everywhere may come up again, where an action between the two has vanished.
        let token = *made.entry(pair).or_insert_with(|| {
            found.push(pair);
            (base + found.len() - 1) as u32
        });
        affected.sort_unstable();
        affected.dedup();
        for number in affected {
            guard::check();
            let history = &mut histories[number as usize];
            counted(history, &mut before);
            after.clone_from(&before);
            while after.binary_search_by_key(&pair, |&(other, _)| other).is_ok() {
                guard::check();
                history.merge(pair, token);
                counted(history, &mut after);
            }
            counts.change(number, &before, &after);
        }
        counts.queue_changed();
    }
    Ok(found)
}

/// The pairs of a history with the sums of their weights, in the order of pairs.
fn counted(history: &History, pairs: &mut Vec<(Merge, i64)>) {
    pairs.clear();
    history.count(pairs);
    pairs.sort_unstable();
    pairs.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

/// Counts of all pairs, and a queue of those whose count has been the largest.
#[derive(Default)]
struct Counts {
    known: PairMap<Known>,
    /// Counts with their pairs, old ones among them.
    queue: BinaryHeap<(i64, Reverse<Merge>)>,
    changed: Vec<Merge>,
}

impl Counts {
    /// Takes note that a history has other pairs now; both lists are in the order of pairs.
    fn change(&mut self, history: u32, before: &[(Merge, i64)], after: &[(Merge, i64)]) {
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            let next = match (old.peek(), new.peek()) {
                (None, None) => return,
                (Some(one), None) => one.0,
                (None, Some(other)) => other.0,
                (Some(one), Some(other)) => one.0.min(other.0),
            };
            let lost = old.next_if(|one| one.0 == next).map(|one| one.1);
            let won = new.next_if(|one| one.0 == next).map(|one| one.1);
            if lost == won {
                continue;
            }
            let known = self.known.entry(key(next)).or_default();
            known.count += won.unwrap_or(0) - lost.unwrap_or(0);
            if lost.is_none() {
                known.histories.push(history);
            }
            self.changed.push(next);
        }
    }

    /// Puts pairs into the queue whose counts have changed, and forgets those that are no more.
    fn queue_changed(&mut self) {
        guard::sort(&mut self.changed);
        self.changed.dedup();
        let mut steps = Steps::default();
        for pair in self.changed.drain(..) {
            steps.step();
            match self.known.entry(key(pair)) {
                Entry::Occupied(entry) if entry.get().count <= 0 => {
                    entry.remove();
                }
                Entry::Occupied(entry) => self.queue.push((entry.get().count, Reverse(pair))),
                Entry::Vacant(_) => {}
            }
        }
    }

    /// The pair with the largest count, and the histories that may have it.
    fn take_best(&mut self) -> Option<(Merge, Vec<u32>)> {
        while let Some((count, Reverse(pair))) = self.queue.pop() {
            if let Some(known) = self.known.get_mut(&key(pair))
                && known.count == count
            {
                let histories = std::mem::take(&mut known.histories);
                return Some((pair, histories));
            }
        }
        None
    }
}
