//! Where the keys and the items of one trie differ from those of the next.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::trie::Trie;

/// Changes between a trie and the next: removed slots, and keys with added items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Ascending and distinct.
    pub(super) removed: Vec<u32>,
    /// Ascending; no item is twice here, or in a slot that stays.
    pub(super) added: Vec<(u128, u32)>,
    /// The same, ascending by item.
    pub(super) by_item: Vec<(u32, u128)>,
}

/// One key whose items change: all its slots are replaced by new ones. Keys that no edit names stay as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edit {
    /// The key's position; of one that is new, the position it comes before.
    pub(super) position: u32,
    /// True if the key is there already.
    pub(super) held: bool,
    /// The key, where items come; else 0.
    pub(super) key: u128,
    /// The slots that are replaced; none for a new key.
    pub(super) slots: (u32, u32),
    /// Where the items that replace them end among [`Edits::items`]; they begin where the last edit's end.
    pub(super) end: u32,
}

/// In the place of a slot: the item was in none.
pub(super) const NEW: u32 = u32::MAX;

/// All edits, by position; of one position, those that come before it first.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub(super) list: Vec<Edit>,
    /// The items that replace those of each edit, one edit after the other; ascending within one.
    pub(super) items: Vec<u32>,
    /// The slot each of them was in, or [`NEW`].
    pub(super) origins: Vec<u32>,
    /// Number of keys afterwards.
    pub(super) keys: usize,
    /// Number of items afterwards.
    pub(super) slots: usize,
}

impl Edits {
    /// The edits of `change` to `trie`. With `unique`, no key may end up with several items if any of them is added.
    ///
    /// # Errors
    /// [`Error::SharedKey`] where it would.
    pub(super) fn new(trie: &Trie, change: &Change, unique: bool) -> Result<Self> {
        let mut edits = Self {
            list: Vec::with_capacity(change.removed.len() + change.added.len()),
            items: Vec::with_capacity(change.added.len()),
            origins: Vec::with_capacity(change.added.len()),
            keys: trie.len(),
            slots: trie.item_count() + change.added.len() - change.removed.len(),
        };
        let (mut removed, mut added) = (&change.removed[..], &change.added[..]);
        let mut arrival = added.first().map(|&(key, _)| trie.keys.rank(&trie.layout, key));
        let mut departure = removed.first().map(|&slot| trie.shelves.position(slot));
        loop {
            // A new key stands before the one at its position.
            let (position, held) = match (arrival, departure) {
                (None, None) => return Ok(edits),
                (Some(arrival), None) => arrival,
                (None, Some(position)) => (position, true),
                (Some(arrival), Some(position)) => arrival.min((position, true)),
            };
            let (mut leave, mut come) = (&removed[..0], &added[..0]);
            let slots = match departure {
                Some(at) if held && at == position => trie.shelves.shelf(removed[0] as usize),
                _ if held => trie.shelves.shelf(trie.shelves.first(position)),
                _ => {
                    let before = trie.shelves.first(position);
                    before..before
                }
            };
            if departure == Some(position) && held {
                let count = removed
                    .iter()
                    .take_while(|&&slot| (slot as usize) < slots.end)
                    .count();
                (leave, removed) = removed.split_at(count);
                departure = removed.first().map(|&slot| trie.shelves.position(slot));
            }
            if arrival == Some((position, held)) {
                let count = added.iter().take_while(|pair| pair.0 == added[0].0).count();
                (come, added) = added.split_at(count);
                arrival = added.first().map(|&(key, _)| trie.keys.rank(&trie.layout, key));
            }
            let before = edits.items.len();
            edits.merge(&trie.shelves.items[slots.clone()], slots.start, leave, come);
            let after = &edits.items[before..];
            if let (true, [first, second, ..], Some(&(_, item))) = (unique, after, come.first()) {
                let other = if *first == item { *second } else { *first };
                return Err(Error::SharedKey { item, other });
            }
            edits.keys = edits.keys + usize::from(!after.is_empty()) - usize::from(held);
            edits.list.push(Edit {
                position,
                held,
                key: come.first().map_or(0, |&(key, _)| key),
                slots: (slots.start as u32, slots.end as u32),
                end: edits.items.len() as u32,
            });
        }
    }

    /// Appends the items of one key: those that stay and those that come, ascending.
    fn merge(&mut self, items: &[u32], start: usize, leave: &[u32], come: &[(u128, u32)]) {
        let mut leave = leave.iter().map(|&slot| slot as usize - start).peekable();
        let mut come = come.iter().map(|&(_, item)| item).peekable();
        for (at, &item) in items.iter().enumerate() {
            if leave.next_if_eq(&at).is_some() {
                continue;
            }
            while let Some(new) = come.next_if(|&new| new < item) {
                self.items.push(new);
                self.origins.push(NEW);
            }
            self.items.push(item);
            self.origins.push((start + at) as u32);
        }
        self.items.extend(come);
        self.origins.resize(self.items.len(), NEW);
    }

    /// Each edit with the items that replace its slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Edit, Range<usize>)> {
        let mut start = 0;
        self.list.iter().map(move |edit| {
            let items = start..edit.end as usize;
            start = items.end;
            (edit, items)
        })
    }

    /// The keys that come and go: each with its position, whether it goes, and its value.
    pub(super) fn key_edits(&self) -> impl Iterator<Item = (u32, bool, u128)> {
        self.iter()
            .filter(|(edit, items)| edit.held == items.is_empty())
            .map(|(edit, _)| (edit.position, edit.held, edit.key))
    }
}
