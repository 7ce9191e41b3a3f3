//! Items that a request must not get.

use std::ops::Range;
use std::sync::OnceLock;

use super::{Shelves, Trie};
use crate::error::{Error, Result};

/// For each group of a batch, the slots of the items it must not get. It belongs to the trie that made it.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Ascending and distinct within a group.
    slots: Vec<u32>,
    /// `offsets[group]..offsets[group + 1]` are a group's.
    offsets: Vec<usize>,
}

impl Exclusion {
    /// How many groups there are.
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

/// The slots ordered by their item, made when first asked for. It follows from the items, so it takes no part in equality.
#[derive(Clone, Debug, Default)]
pub(super) struct ByItem(OnceLock<Vec<u32>>);

impl PartialEq for ByItem {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByItem {}

impl Shelves {
    /// The slot of an item, if it is here.
    pub(super) fn slot_of(&self, item: u32) -> Option<u32> {
        let by_item = self.by_item.0.get_or_init(|| slots_by_item(&self.items));
        // Where the items are 0 to n - 1, an item is its own rank.
        let guess = by_item.get(item as usize).copied();
        guess
            .filter(|&slot| self.items[slot as usize] == item)
            .or_else(|| {
                let rank = by_item.binary_search_by_key(&item, |&slot| self.items[slot as usize]);
                rank.ok().map(|rank| by_item[rank])
            })
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
        for ends in offsets.windows(2) {
            let items = &values[ends[0].unsigned_abs() as usize..ends[1].unsigned_abs() as usize];
            let known = |&item: &i64| self.shelves.slot_of(u32::try_from(item).ok()?);
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
