//! The Semantic IDs that exist, and the items under each: what keeps generation to real items.
//!
//! # How does it work?
//!
//! There are no nodes. The distinct Semantic IDs stand in sorted order, and a prefix is a contiguous range of them, so
//! a state of the walk is a range (a [`Span`]) and a step narrows it. Sorted order is stored by columns:
//!
//! - the *head*, the first few levels, as a directory: `directory[p]` is the position of the first key whose leading
//!   bits are `p` or more. It has at most one entry a key, and a step in it is two loads;
//! - the *tail*, each level below, as one column of digits by position (one byte each up to 256 codes, else two). The
//!   digits of the children of a state are a sorted run of its level's column.
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
//! for digit in [12, 200] {
//!     states = trie.step(&states, &[digit])?;
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
//! At most 2³² − 2 items. A trie does not change; a changed catalogue is another trie.

mod beam;
mod build;
mod columns;
mod exclude;
mod format;
mod mask;
mod walk;

use crate::sid::SidLayout;
use columns::Columns;
use exclude::ByItem;

pub use beam::{BeamStep, Beams};
pub use exclude::Exclusion;
pub use walk::{Span, States};

/// The sorted distinct Semantic IDs of a catalogue and the items under each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trie {
    layout: SidLayout,
    keys: Columns,
    shelves: Shelves,
}

/// The items in the order of their Semantic IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelves {
    /// `starts[position]..starts[position + 1]` are the slots of a key's items; empty when every key has exactly one.
    starts: Vec<u32>,
    /// The item in each slot, ascending under one key. No item is twice here.
    items: Vec<u32>,
    by_item: ByItem,
}

impl Shelves {
    fn new(starts: Vec<u32>, items: Vec<u32>) -> Self {
        Self {
            starts,
            items,
            by_item: ByItem::default(),
        }
    }

    /// The slots of the items under the keys at `positions`.
    fn slots(&self, positions: std::ops::Range<u32>) -> std::ops::Range<usize> {
        if self.starts.is_empty() {
            positions.start as usize..positions.end as usize
        } else {
            self.starts[positions.start as usize] as usize..self.starts[positions.end as usize] as usize
        }
    }
}

impl Trie {
    /// How many codes each level has and where each digit sits in a key.
    #[must_use]
    pub fn layout(&self) -> &SidLayout {
        &self.layout
    }

    /// How many distinct Semantic IDs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() as usize
    }

    /// Whether there is no Semantic ID at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items there are: at least one for each Semantic ID.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.shelves.items.len()
    }
}
