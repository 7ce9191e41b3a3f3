//! Batches of changes: checked, and many of them folded into one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::edits::Change;
use crate::error::{Error, Result};
use crate::sid::{Key, SidLayout};
use crate::trie::Trie;
use crate::trie::build::check_distinct;

/// Items that go, and then items that come with their keys. An item that does both gets another key.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a, K> {
    /// Items that go; each is in the trie.
    pub removed: &'a [i64],
    /// The keys of the items that come.
    pub keys: &'a [K],
    /// The items that come; none is in the trie, unless it goes in the same batch.
    pub items: &'a [u32],
}

impl<K: Key> Batch<'_, K> {
    /// Checks a batch against what is there, and gives the places of the items that go: `places` tells where items are, if
    /// they are.
    ///
    /// # Errors
    /// As [`super::LiveTrie::apply`].
    fn check<P>(
        &self,
        layout: &SidLayout,
        places: impl Fn(&[u32]) -> Vec<Option<P>>,
    ) -> Result<Vec<(u32, P)>> {
        Error::check_length("items", self.items.len(), self.keys.len())?;
        layout.check(self.keys)?;
        check_distinct(self.items)?;
        let unknown = |row: usize| Error::UnknownItem {
            row,
            item: self.removed[row],
        };
        let number = |(row, &item): (usize, &i64)| u32::try_from(item).map_err(|_| unknown(row));
        let mut gone = self
            .removed
            .iter()
            .enumerate()
            .map(number)
            .collect::<Result<Vec<u32>>>()?;
        let mut removed = Vec::with_capacity(gone.len());
        for (row, place) in places(&gone).into_iter().enumerate() {
            removed.push((gone[row], place.ok_or_else(|| unknown(row))?));
        }
        gone.sort_unstable();
        check_distinct(&gone)?;
        for (row, place) in places(self.items).into_iter().enumerate() {
            let item = self.items[row];
            if place.is_some() && gone.binary_search(&item).is_err() {
                return Err(Error::ItemExists { row, item });
            }
        }
        Ok(removed)
    }

    /// The batch as a change of `trie`.
    ///
    /// # Errors
    /// As [`super::LiveTrie::apply`].
    pub(super) fn change(&self, trie: &Trie) -> Result<Change> {
        let removed = self.check(&trie.layout, |items| trie.slots_of(items))?;
        Ok(change(removed.into_iter().map(|(_, slot)| slot), self.pairs()))
    }

    fn pairs(&self) -> impl Iterator<Item = (K, u32)> {
        self.keys.iter().copied().zip(self.items.iter().copied())
    }
}

fn change<K: Key>(removed: impl Iterator<Item = u32>, added: impl Iterator<Item = (K, u32)>) -> Change {
    let mut removed: Vec<u32> = removed.collect();
    removed.sort_unstable();
    // As short as they are, keys sort faster.
    let mut added: Vec<(K, u32)> = added.collect();
    added.sort_unstable_by_key(|&(_, item)| item);
    let by_item = added.iter().map(|&(key, item)| (item, key.to_u128())).collect();
    added.sort_unstable();
    Change {
        removed,
        added: added
            .into_iter()
            .map(|(key, item)| (key.to_u128(), item))
            .collect(),
        by_item,
    }
}

/// Many batches as one change of the trie that the first of them met.
#[derive(Debug, Default)]
pub(super) struct Fold {
    /// Slots whose items went.
    removed: HashSet<u32>,
    /// Items that came and are still here.
    added: HashMap<u32, u128>,
}

/// Where an item is that several batches may have moved.
#[derive(Clone, Copy)]
enum Place {
    /// In a slot of the trie.
    Slot(u32),
    /// Among those that came.
    Added,
}

impl Fold {
    /// Takes one more batch.
    ///
    /// # Errors
    /// As [`super::LiveTrie::apply`].
    pub(super) fn take<K: Key>(&mut self, trie: &Trie, batch: &Batch<'_, K>) -> Result<()> {
        let place = |&item: &u32| {
            if self.added.contains_key(&item) {
                return Some(Place::Added);
            }
            let slot = trie.slot_of(item);
            slot.filter(|slot| !self.removed.contains(slot)).map(Place::Slot)
        };
        let removed = batch.check(&trie.layout, |items| items.iter().map(place).collect())?;
        for (item, place) in removed {
            match place {
                Place::Slot(slot) => {
                    self.removed.insert(slot);
                }
                Place::Added => {
                    self.added.remove(&item);
                }
            }
        }
        self.added
            .extend(batch.pairs().map(|(key, item)| (item, key.to_u128())));
        Ok(())
    }

    /// Removes an item, wherever it is; false if it is nowhere.
    pub(super) fn force_out(&mut self, trie: &Trie, item: u32) -> bool {
        if self.added.remove(&item).is_some() {
            return true;
        }
        trie.slot_of(item).is_some_and(|slot| self.removed.insert(slot))
    }

    /// Removes the items in these slots; false if all have gone already.
    pub(super) fn force_out_slots(&mut self, slots: Range<usize>) -> bool {
        let gone = slots.filter(|&slot| self.removed.insert(slot as u32)).count();
        gone > 0
    }

    /// Adds an item that is nowhere.
    pub(super) fn force_in(&mut self, item: u32, key: u128) {
        self.added.insert(item, key);
    }

    /// The key of an item that came.
    pub(super) fn key_of(&self, item: u32) -> Option<u128> {
        self.added.get(&item).copied()
    }

    /// All batches as one change.
    pub(super) fn change(&self) -> Change {
        let pair = |(&item, &key): (&u32, &u128)| (<[u64; 2]>::from_u128(key), item);
        change(self.removed.iter().copied(), self.added.iter().map(pair))
    }
}
