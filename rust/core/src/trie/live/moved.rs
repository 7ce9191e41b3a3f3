//! Where items are in a trie that was made from another, without sorting all of them again.

use std::iter::repeat_n;
use std::sync::Arc;

use super::edits::{Change, Edits, NEW};
use super::splice::BitWriter;
use crate::trie::Trie;
use crate::trie::bits::Bits;
use crate::trie::exclude::ByItem;

/// The slots that stay keep their order, so an item's new slot follows from counting: the `i`-th slot of the base that
/// stays is the `i`-th slot of the new trie that stayed. Any number of changes after the base are one such step.
#[derive(Clone, Debug)]
pub(in crate::trie) struct Moved {
    base: Arc<Trie>,
    /// One bit a slot of the base: whether its item is still the same one.
    stays: Bits,
    /// One bit a slot of the new trie: whether its item is one that stayed.
    stayed: Bits,
    /// All other items of the new trie, ascending, with their keys.
    came: Vec<(u32, u128)>,
}

impl Moved {
    /// The slot of an item in `trie`, the new one.
    pub(in crate::trie) fn slot_of(&self, trie: &Trie, item: u32) -> Option<u32> {
        let old = self.base.slot_of(item);
        if let Some(old) = old.filter(|&slot| self.stays.get(slot as usize)) {
            return Some(self.slot_after(old));
        }
        self.slot_of_other(trie, item)
    }

    /// The slots of many items; the counting goes through the bits from left to right.
    pub(in crate::trie) fn slots_of(&self, trie: &Trie, items: &[u32]) -> Vec<Option<u32>> {
        let mut slots = self.base.slots_of(items);
        let mut stay = Vec::with_capacity(items.len());
        for (row, slot) in slots.iter_mut().enumerate() {
            match *slot {
                Some(old) if self.stays.get(old as usize) => stay.push(u64::from(old) << 32 | row as u64),
                _ => *slot = self.slot_of_other(trie, items[row]),
            }
        }
        stay.sort_unstable();
        for pair in stay {
            slots[pair as u32 as usize] = Some(self.slot_after((pair >> 32) as u32));
        }
        slots
    }

    /// The new slot of a slot that stays.
    fn slot_after(&self, old: u32) -> u32 {
        self.stayed.select_one(self.stays.rank(old as usize)) as u32
    }

    /// The slot of an item that is not one that stayed.
    fn slot_of_other(&self, trie: &Trie, item: u32) -> Option<u32> {
        let place = self.came.binary_search_by_key(&item, |&(item, _)| item).ok()?;
        let (position, _) = trie.keys.rank(&trie.layout, self.came[place].1);
        let slots = trie.shelves.slots(position..position + 1);
        let under = trie.shelves.items[slots.clone()].binary_search(&item).ok()?;
        Some((slots.start + under) as u32)
    }

    /// Numbers of items removed from the base and of items added since.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.base.item_count() - self.stays.count_ones(), self.came.len())
    }

    /// Where the items are in the trie that `change` makes of `trie` by these edits.
    pub(super) fn after(trie: &Arc<Trie>, change: &Change, edits: &Edits) -> Self {
        match &trie.shelves.by_item {
            ByItem::Moved(before) => before.then(trie, change, edits),
            ByItem::Sorted(_) => {
                let stays = all(trie.item_count());
                let before = Self {
                    base: Arc::clone(trie),
                    stayed: stays.clone(),
                    stays,
                    came: Vec::new(),
                };
                before.then(trie, change, edits)
            }
        }
    }

    fn then(&self, trie: &Trie, change: &Change, edits: &Edits) -> Self {
        let mut stays = self.stays.words.to_vec();
        let mut gone = Vec::new();
        for &slot in &change.removed {
            if self.stayed.get(slot as usize) {
                let old = self.stays.select_one(self.stayed.rank(slot as usize));
                stays[old / 64] &= !(1 << (old % 64));
            } else {
                gone.push(trie.shelves.items[slot as usize]);
            }
        }
        gone.sort_unstable();
        let mut gone = gone.into_iter().peekable();
        let kept = self
            .came
            .iter()
            .filter(|(item, _)| gone.next_if_eq(item).is_none());
        Self {
            base: Arc::clone(&self.base),
            stays: Bits::new(stays),
            stayed: self.stayed_after(trie.item_count(), edits),
            came: merge(kept.copied(), self.came.len(), &change.by_item),
        }
    }

    fn stayed_after(&self, slots: usize, edits: &Edits) -> Bits {
        let mut bits = BitWriter::default();
        let mut at = 0;
        for (edit, items) in edits.iter() {
            bits.copy(&self.stayed.words, at..edit.slots.0 as usize);
            for &origin in &edits.origins[items] {
                let stayed = origin != NEW && self.stayed.get(origin as usize);
                bits.push(stayed.into(), 1);
            }
            at = edit.slots.1 as usize;
        }
        bits.copy(&self.stayed.words, at..slots);
        bits.finish()
    }
}

/// So many ones.
fn all(count: usize) -> Bits {
    let mut words: Vec<u64> = repeat_n(u64::MAX, count.div_ceil(64)).collect();
    if let Some(last) = words.last_mut() {
        *last >>= (64 - count % 64) % 64;
    }
    Bits::new(words)
}

/// Two ascending sequences as one; the first has at most `most` values.
fn merge<T: Ord + Copy>(old: impl Iterator<Item = T>, most: usize, new: &[T]) -> Vec<T> {
    let mut merged = Vec::with_capacity(most + new.len());
    let mut new = new.iter().copied().peekable();
    for value in old {
        while let Some(before) = new.next_if(|before| *before < value) {
            merged.push(before);
        }
        merged.push(value);
    }
    merged.extend(new);
    merged
}
