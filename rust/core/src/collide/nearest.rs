//! Codes keep the items to whom they cost the least.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasherDefault, Hash};

use super::{Mixed, UNPLACED, occupancy, rows};

/// Who holds a place: how much it costs, which item, by which wish.
#[derive(Clone, Copy)]
struct Holder {
    cost: f64,
    item: usize,
    choice: u32,
}

impl Ord for Holder {
    /// The dearer one is greater; of two equally dear the later item.
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

/// The wish that each item gets, when codes keep those to whom they cost the least.
///
/// Items ask for their wishes in order; a code that is full turns away the dearest of those it holds and who asks, on a tie
/// the later item; who is turned away goes on to the next wish. Settled items stay. The result is the stable matching
/// that is best for all items at once, so it does not depend on who asks when. Arguments as in [`super::first`], and
/// `costs`, one a wish. Gives the number of the wish, or [`UNPLACED`].
///
/// # Panics
///
/// If `wishes` is not a whole number of rows, or there is not one cost a wish.
#[must_use]
pub fn nearest<K: Copy + Eq + Hash>(
    settled: &[K],
    wishes: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
) -> Vec<u32> {
    let items = rows(wishes, choices);
    assert_eq!(costs.len(), wishes.len(), "one cost a wish");
    let occupied = occupancy(settled);
    let mut held: HashMap<K, BinaryHeap<Holder>, BuildHasherDefault<Mixed>> = HashMap::default();
    let mut placed = vec![UNPLACED; items];
    for newcomer in 0..items {
        let mut asking = Some(Holder {
            cost: 0.0,
            item: newcomer,
            choice: 0,
        });
        while let Some(Holder { item, choice, .. }) = asking {
            if choice as usize >= choices {
                placed[item] = UNPLACED;
                break;
            }
            let wish = item * choices + choice as usize;
            let key = wishes[wish];
            let room = capacity.saturating_sub(occupied.get(&key).copied().unwrap_or(0)) as usize;
            let mut turned_away = Holder {
                cost: costs[wish],
                item,
                choice,
            };
            if room > 0 {
                let holders = held.entry(key).or_default();
                holders.push(turned_away);
                placed[item] = choice;
                if holders.len() <= room {
                    break;
                }
                turned_away = holders.pop().unwrap_or(turned_away);
            }
            asking = Some(Holder {
                choice: turned_away.choice + 1,
                ..turned_away
            });
        }
    }
    placed
}
