//! Items that a request must not get.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::live::Moved;
use super::{Shelves, Trie};
use crate::error::{Error, Result};
use crate::guard::Steps;

/// For each group of a batch, the slots of the items it must not get. It belongs to the trie that made it.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Ascending and distinct within a group.
    slots: Vec<u32>,
    /// `offsets[group]..offsets[group + 1]` are a group's.
    offsets: Vec<usize>,
}

impl Exclusion {
    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn group(&self, group: usize) -> Excluded<'_> {
        Excluded(&self.slots[self.offsets[group]..self.offsets[group + 1]])
    }
}

/// The slots one group must not get, ascending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excluded<'a>(&'a [u32]);

impl<'a> Excluded<'a> {
    pub(super) const NOTHING: Excluded<'static> = Excluded(&[]);

    /// Those of `slots` that are excluded.
    pub(super) fn within(self, slots: &Range<usize>) -> Excluded<'a> {
        let start = self.0.partition_point(|&slot| (slot as usize) < slots.start);
        let length = self.0[start..].partition_point(|&slot| (slot as usize) < slots.end);
        Excluded(&self.0[start..start + length])
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|&slot| slot as usize)
    }

    pub(super) fn contains(self, slot: usize) -> bool {
        self.0.binary_search(&(slot as u32)).is_ok()
    }
}

/// Where each item is. It follows from the items, so it takes no part in equality.
#[derive(Clone, Debug)]
pub(super) enum ByItem {
    /// The slots ordered by their item, made when first asked for.
    Sorted(OnceLock<Vec<u32>>),
    /// Differences from the trie that this one was made from.
    Moved(Arc<Moved>),
}

impl Default for ByItem {
    fn default() -> Self {
        Self::Sorted(OnceLock::new())
    }
}

impl PartialEq for ByItem {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByItem {}

impl Trie {
    /// The slot of an item, if it is here.
    pub(super) fn slot_of(&self, item: u32) -> Option<u32> {
        match &self.shelves.by_item {
            ByItem::Sorted(by_item) => self
                .shelves
                .find(by_item.get_or_init(|| slots_by_item(&self.shelves.items)), item),
            ByItem::Moved(moved) => moved.slot_of(self, item),
        }
    }

    /// The slots of many items; faster than one at a time where there are many.
    pub(super) fn slots_of(&self, items: &[u32]) -> Vec<Option<u32>> {
        match &self.shelves.by_item {
            ByItem::Sorted(_) => items.iter().map(|&item| self.slot_of(item)).collect(),
            ByItem::Moved(moved) => moved.slots_of(self, items),
        }
    }
}

impl Shelves {
    /// The slot of an item among the slots ordered by item.
    fn find(&self, by_item: &[u32], item: u32) -> Option<u32> {
        let item_at = |rank: usize| self.items[by_item[rank] as usize];
        let last = by_item.len().checked_sub(1)?;
        let beyond = item_at(last).checked_sub(item)? as usize;
        // So many items are above this one at most, and so many below it. Where that is all the others, no number is left out.
        let (low, high) = (last.saturating_sub(beyond), last.min(item as usize));
        if item as usize + beyond == last {
            return Some(by_item[low]);
        }
        let (mut low, mut high) = (low, high + 1);
        while low < high {
            let middle = low.midpoint(high);
            match item_at(middle).cmp(&item) {
                Ordering::Equal => return Some(by_item[middle]),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        None
    }
}

fn slots_by_item(items: &[u32]) -> Vec<u32> {
    let most = items.iter().max().map_or(0, |&item| item as usize);
    if most / 4 > items.len() {
        let mut slots: Vec<u32> = (0..items.len() as u32).collect();
        slots.sort_unstable_by_key(|&slot| items[slot as usize]);
        return slots;
    }
    // Item numbers are dense, so that one pass puts every slot in its place.
    let mut slots = vec![u32::MAX; most + 1];
    for (slot, &item) in items.iter().enumerate() {
        slots[item as usize] = slot as u32;
    }
    slots.retain(|&slot| slot != u32::MAX);
    slots
}

impl Trie {
    /// Prepares what each group of a batch must not get: group `i` the items `values[offsets[i]..offsets[i + 1]]`. Items
    /// that are not in the trie are ignored.
    ///
    /// # Errors
    /// [`Error::Offsets`] unless `offsets` ascends from 0 to the number of values.
    pub fn exclusion(&self, values: &[i64], offsets: &[i64]) -> Result<Exclusion> {
        let whole = offsets.first() == Some(&0) && offsets.last() == Some(&(values.len() as i64));
        if !whole || !offsets.is_sorted() {
            return Err(Error::Offsets {
                what: "exclude",
                values: values.len(),
            });
        }
        let mut exclusion = Exclusion {
            slots: Vec::with_capacity(values.len()),
            offsets: vec![0],
        };
        let mut group = Vec::new();
        let mut steps = Steps::default();
        for ends in offsets.windows(2) {
            let items = &values[ends[0].unsigned_abs() as usize..ends[1].unsigned_abs() as usize];
            let known = |&item: &i64| {
                steps.step();
                self.slot_of(u32::try_from(item).ok()?)
            };
            group.clear();
            group.extend(items.iter().filter_map(known));
            group.sort_unstable();
            group.dedup();
            exclusion.slots.extend(&group);
            exclusion.offsets.push(exclusion.slots.len());
        }
        Ok(exclusion)
    }
}
