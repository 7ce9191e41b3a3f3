//! From items to their Semantic IDs.

use super::Trie;
use crate::error::{Error, Result};
use crate::sid::Key;

impl Trie {
    /// The Semantic ID of each item.
    ///
    /// # Errors
    /// [`Error::KeyWords`] for the wrong type of key, [`Error::UnknownItem`] for an item that is not in the trie.
    pub fn sids<K: Key>(&self, items: &[i64]) -> Result<Vec<K>> {
        self.layout.check::<K>(&[])?;
        let sid = |(row, &item): (usize, &i64)| {
            let slot = u32::try_from(item).ok().and_then(|item| self.slot_of(item));
            let slot = slot.ok_or(Error::UnknownItem { row, item })?;
            Ok(K::from_u128(
                self.keys.key(&self.layout, self.shelves.position(slot)),
            ))
        };
        items.iter().enumerate().map(sid).collect()
    }
}
