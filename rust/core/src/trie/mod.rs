//! The Semantic IDs that exist, and the items under each: what keeps generation to real items.
//!
//! # How does it work?
//!
//! There are no nodes. The distinct Semantic IDs stand in sorted order, and a prefix is a contiguous range of them, so
//! a state of the walk is a range (a [`Span`]) and a step narrows it. Sorted order is stored by columns:
//!
//! - the *head*, the first few levels, as a directory: `directory[p]` is the position of the first key whose leading
//!   bits are `p` or more. It has at most one entry a key, and a step in it is two loads;
//! - the *tail*, each level below, as one column of tokens by position (one byte each up to 256 tokens, else two). The
//!   tokens of the children of a state are a sorted run of its level's column.
//!
//! Random Semantic IDs of 4 × 256 cost 2.3 bytes each at a million and 2.0 at ten million; trees of nodes take 15 to 20.
//!
//! ```
//! use sidkit_core::{SidLayout, Trie};
//!
//! let layout = SidLayout::new(&[256, 256, 4])?;
//! let mut keys = [0_u64; 3];
//! layout.pack(&[12, 200, 0, 12, 200, 1, 40, 7, 0], &mut keys)?;
//! let trie = Trie::build(layout, &keys, None)?;
//!
//! let mut states = trie.start(1);
//! for token in [12, 200] {
//!     states = trie.step(&states, &[token])?;
//! }
//! let mut allowed = [false; 4];
//! trie.allowed(&states, &mut allowed)?;
//! assert_eq!(allowed, [true, true, false, false]);
//! assert_eq!(trie.items(&states).0, [0, 1]);
//! # Ok::<(), sidkit_core::Error>(())
//! ```
//!
//! # Limits
//!
//! At most 2³² − 2 items. A trie does not change; a changed catalogue is another trie, which [`live`] makes quickly.

mod beam;
mod bits;
mod build;
mod columns;
mod compact;
mod exclude;
mod fan;
mod format;
mod keys;
mod level;
mod limits;
pub mod live;
mod lookup;
mod mask;
mod nearby;
mod prefetch;
mod row;
mod sample;
mod verify;
mod walk;
mod writer;

use std::ops::Range;

use crate::array::Array;
use crate::sid::SidLayout;
use bits::Bits;
use exclude::ByItem;
use keys::Keys;

pub use beam::{BeamStep, Beams};
pub use exclude::Exclusion;
pub use keys::Storage;
pub use limits::{ItemSet, Limits};
pub use nearby::Neighbours;
pub use walk::{Span, States};
pub use writer::TrieWriter;

/// The sorted distinct Semantic IDs of a catalogue and the items under each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trie {
    layout: SidLayout,
    keys: Keys,
    shelves: Shelves,
    verified: Verified,
}

/// True unless the trie was read from a trusted file, of which only the lengths are known to fit. It takes no part in equality.
#[derive(Clone, Copy, Debug)]
struct Verified(bool);

impl PartialEq for Verified {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Verified {}

/// The items in the order of their Semantic IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelves {
    /// One bit a slot: whether it is the first of its key's. None where every key has exactly one item.
    firsts: Option<Bits>,
    /// The item in each slot, ascending under one key. No item is twice here.
    items: Array<u32>,
    by_item: ByItem,
}

impl Shelves {
    fn new(firsts: Option<Bits>, items: Array<u32>) -> Self {
        Self {
            firsts,
            items,
            by_item: ByItem::default(),
        }
    }

    /// The position of the key of the item in a slot.
    fn position(&self, slot: u32) -> u32 {
        self.firsts
            .as_ref()
            .map_or(slot, |firsts| firsts.rank(slot as usize + 1) as u32 - 1)
    }

    /// The slots of the items under the keys at `positions`.
    fn slots(&self, positions: Range<u32>) -> Range<usize> {
        let (start, end) = (positions.start as usize, positions.end as usize);
        let slots = match &self.firsts {
            None => start..end,
            Some(_) if start == end => 0..0,
            Some(_) if start + 1 == end => self.shelf(self.first(positions.start)),
            Some(_) => self.first(positions.start)..self.first(positions.end),
        };
        // So it is, unless a trusted file is damaged: no loop may depend on what it says.
        slots.start.min(self.items.len())..slots.end.min(self.items.len())
    }

    /// The slots of the key whose item is in `slot`.
    fn shelf(&self, slot: usize) -> Range<usize> {
        match &self.firsts {
            None => slot..slot + 1,
            Some(firsts) => firsts.one_to(slot)..firsts.one_from(slot + 1).min(self.items.len()),
        }
    }

    /// The first slot of the key at `position`; behind the last key, the number of slots.
    fn first(&self, position: u32) -> usize {
        let position = position as usize;
        match &self.firsts {
            None => position,
            Some(firsts) if position == firsts.count_ones() => self.items.len(),
            Some(firsts) => firsts.select_one(position),
        }
    }
}

impl Trie {
    /// False if the trie was read from a trusted file: wrong content then ends a call with [`crate::Error::Internal`] or gives wrong
    /// answers.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified.0
    }

    /// Sizes of the levels, and the place of each token in a key.
    #[must_use]
    pub fn layout(&self) -> &SidLayout {
        &self.layout
    }

    /// Storage of the keys.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.keys.storage()
    }

    /// Size in bytes of all arrays but the item numbers.
    #[must_use]
    pub fn key_bytes(&self) -> usize {
        self.to_bytes().len() - 4 * self.item_count()
    }

    /// Number of distinct Semantic IDs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() as usize
    }

    /// True if there is no Semantic ID at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of items: at least one for each Semantic ID.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.shelves.items.len()
    }
}
