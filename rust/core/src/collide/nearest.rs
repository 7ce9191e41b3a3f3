//! Codes keep the items with the lowest costs.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hash};

use super::{Mixed, UNPLACED, occupancy, rows};
use crate::guard::Steps;

/// An item that holds a code: its cost, its number, and the place of the code among its preferred ones.
#[derive(Clone, Copy)]
struct Holder {
    cost: f64,
    item: usize,
    choice: u32,
}

impl Ord for Holder {
    /// Orders by cost, then by item.
    fn cmp(&self, other: &Self) -> Ordering {
        self.cost.total_cmp(&other.cost).then(self.item.cmp(&other.item))
    }
}

impl PartialOrd for Holder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Holder {}

/// Moves each item to one of its preferred codes so that a code keeps the items with the lowest costs.
///
/// Items try their preferred codes in order. A full code rejects the item with the highest cost, on a tie the later one,
/// and the rejected item tries its next preferred code. Occupied codes stay. The result is the stable matching that is
/// best for all items, so that it does not depend on the order of the tries. Arguments as in [`super::first`], and
/// `costs`, one per preferred code. Returns the place of the chosen code among the preferred ones, or [`UNPLACED`].
///
/// # Panics
///
/// If `preferred` is not a whole number of rows, or there is not one cost per preferred code.
#[must_use]
pub fn nearest<K: Copy + Eq + Hash>(
    occupied: &[K],
    preferred: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
) -> Vec<u32> {
    let items = rows(preferred, choices);
    assert_eq!(costs.len(), preferred.len(), "one cost per preferred code");
    let counts = occupancy(occupied);
    let mut held: HashMap<K, BinaryHeap<Holder>, BuildHasherDefault<Mixed>> = HashMap::default();
    let mut placed = vec![UNPLACED; items];
    let mut steps = Steps::default();
    for newcomer in 0..items {
        let mut asking = Some(Holder {
            cost: 0.0,
            item: newcomer,
            choice: 0,
        });
        while let Some(Holder { item, choice, .. }) = asking {
            steps.step();
            if choice as usize >= choices {
                placed[item] = UNPLACED;
                break;
            }
            let pick = item * choices + choice as usize;
            let key = preferred[pick];
            let room = capacity.saturating_sub(counts.get(&key).copied().unwrap_or(0)) as usize;
            let mut rejected = Holder {
                cost: costs[pick],
                item,
                choice,
            };
            if room > 0 {
                let holders = held.entry(key).or_default();
                holders.push(rejected);
                placed[item] = choice;
                if holders.len() <= room {
                    break;
                }
                rejected = holders.pop().unwrap_or(rejected);
            }
            asking = Some(Holder {
                choice: rejected.choice + 1,
                ..rejected
            });
        }
    }
    placed
}
