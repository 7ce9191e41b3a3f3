//! Construction of a trie from keys in any order.

use super::bits::Bits;
use super::keys::{Keys, Storage};
use super::{Shelves, Trie, Verified};
use crate::error::{Error, Result};
use crate::sid::{Key, SidLayout};
use crate::{guard, memory};

/// Positions and slots are 32 bits wide, and one value beyond the last must exist.
pub(super) const MOST_ITEMS: usize = u32::MAX as usize - 1;

impl Trie {
    /// The trie of `keys`, in any order. Key `i` is the Semantic ID of `items[i]`, or of item `i` if there are no `items`; several
    /// items may share one.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many items as keys, [`Error::TooManyItems`] from 2³² − 1 on,
    /// [`Error::RepeatedItem`] for an item with two keys, and as [`SidLayout::check`] for a key that the layout does not have.
    pub fn build<K: Key>(layout: SidLayout, keys: &[K], items: Option<&[u32]>) -> Result<Self> {
        Self::build_as(layout, keys, items, Storage::Fast)
    }

    /// As [`Trie::build`], with the keys stored as said.
    ///
    /// # Errors
    /// As [`Trie::build`].
    pub fn build_as<K: Key>(
        layout: SidLayout,
        keys: &[K],
        items: Option<&[u32]>,
        storage: Storage,
    ) -> Result<Self> {
        if keys.len() > MOST_ITEMS {
            return Err(Error::TooManyItems { got: keys.len() });
        }
        layout.check(keys)?;
        if let Some(items) = items {
            if items.len() != keys.len() {
                return Err(Error::Length {
                    what: "items",
                    expected: keys.len(),
                    got: items.len(),
                });
            }
            check_distinct(items)?;
        }
        let item = |row: usize| items.map_or(row as u32, |items| items[row]);
        let mut pairs: Vec<(K, u32)> = memory::with_capacity(keys.len());
        pairs.extend(keys.iter().enumerate().map(|(row, &key)| (key, item(row))));
        guard::sort(&mut pairs);

        let items = pairs.iter().map(|&(_, item)| item).collect::<Vec<_>>();
        let mut keys: Vec<K> = pairs.into_iter().map(|(key, _)| key).collect();
        let firsts = firsts_of_runs(&keys);
        keys.dedup();
        Ok(Self {
            keys: Keys::build(&layout, &keys, storage),
            shelves: Shelves::new(firsts, items.into()),
            layout,
            verified: Verified(true),
        })
    }
}

/// One bit for each key: whether it differs from the one before; none if no two are equal.
fn firsts_of_runs<K: Key>(sorted: &[K]) -> Option<Bits> {
    if sorted.windows(2).all(|pair| pair[0] != pair[1]) {
        return None;
    }
    let mut words = vec![0_u64; sorted.len().div_ceil(64)];
    for row in (0..sorted.len()).filter(|&row| row == 0 || sorted[row] != sorted[row - 1]) {
        words[row / 64] |= 1 << (row % 64);
    }
    Some(Bits::new(words))
}

pub(super) fn check_distinct(items: &[u32]) -> Result<()> {
    let mut sorted = memory::with_capacity(items.len());
    sorted.extend_from_slice(items);
    guard::sort(&mut sorted);
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::RepeatedItem { item: pair[0] }),
    }
}
