//! Items with equal codes: ranks within a code, and free codes for surplus items.
//!
//! A *key* is a packed code, of one word or two. There are three methods to move surplus items to one of their preferred
//! codes. All are deterministic:
//!
//! - [`first`]: round by round, each item tries its next preferred code; a code with room accepts items in their order.
//! - [`nearest`]: a code with too little room keeps the items with the lowest costs (deferred acceptance, Gale and
//!   Shapley 1962).
//! - [`sinkhorn`]: entropic transport weighs all preferences together; the result is rounded.
//!
//! ```
//! use sidkit_core::collide;
//!
//! assert_eq!(collide::ranks(&[7_u64, 3, 7, 7]), [0, 0, 1, 2]);
//! // Code 7 is full; two items prefer 7, then 8, then 9.
//! let placed = collide::first(&[7_u64], &[7, 8, 9, 7, 8, 9], 3, 1);
//! assert_eq!(placed, [1, 2]);
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::guard::{self, Steps};
use crate::hash::mix64;
use crate::memory;

mod nearest;
mod sinkhorn;

pub use nearest::nearest;
pub use sinkhorn::{Sinkhorn, sinkhorn};

/// The result for an item whose preferred codes are all full.
pub const UNPLACED: u32 = u32::MAX;

/// Counts the earlier keys that are equal to each key.
///
/// # Panics
///
/// If there are 2^32 keys or more.
#[must_use]
pub fn ranks<K: Copy + Ord>(keys: &[K]) -> Vec<u32> {
    assert!(u32::try_from(keys.len()).is_ok(), "at most 2^32 - 1 keys");
    let mut order: Vec<(K, u32)> = memory::with_capacity(keys.len());
    order.extend(keys.iter().zip(0..).map(|(&key, row)| (key, row)));
    guard::sort(&mut order);
    let mut ranks = memory::filled(0, keys.len());
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        for (rank, &(_, row)) in (0..).zip(group) {
            ranks[row as usize] = rank;
        }
    }
    ranks
}

/// Moves each item to the first of its preferred codes with room, round by round.
///
/// `occupied` holds the keys of the items that stay, one per item; `preferred` has `choices` keys per item, best first. A
/// code has room for `capacity` items, those of `occupied` included. In round r all remaining items try their r-th
/// preferred code, in the order of the items. Returns the place of the chosen code among the preferred ones, or
/// [`UNPLACED`].
///
/// Takes time linear in the tried codes, and memory linear in the items.
///
/// # Panics
///
/// If `preferred` is not a whole number of rows.
#[must_use]
pub fn first<K: Copy + Eq + Hash>(
    occupied: &[K],
    preferred: &[K],
    choices: usize,
    capacity: u32,
) -> Vec<u32> {
    let items = rows(preferred, choices);
    let mut counts = occupancy(occupied);
    let mut placed = vec![UNPLACED; items];
    let mut waiting: Vec<usize> = (0..items).collect();
    let mut steps = Steps::default();
    for choice in 0..choices {
        waiting.retain(|&item| {
            steps.step();
            let full = counts.entry(preferred[item * choices + choice]).or_insert(0);
            if *full >= capacity {
                return true;
            }
            *full += 1;
            placed[item] = choice as u32;
            false
        });
        if waiting.is_empty() {
            break;
        }
    }
    placed
}

/// The number of items of `preferred`, checked.
fn rows<K>(preferred: &[K], choices: usize) -> usize {
    let items = preferred.len().checked_div(choices).unwrap_or(0);
    assert_eq!(
        items * choices,
        preferred.len(),
        "`preferred` must have whole rows of {choices}"
    );
    items
}

/// The number of items of each occupied key.
fn occupancy<K: Copy + Eq + Hash>(occupied: &[K]) -> Counts<K> {
    memory::check::<(K, u64)>(occupied.len());
    let mut counts = Counts::with_capacity_and_hasher(occupied.len(), BuildHasherDefault::default());
    let mut steps = Steps::default();
    for &key in occupied {
        steps.step();
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

type Counts<K> = HashMap<K, u32, BuildHasherDefault<Mixed>>;

/// A fast hash of one integer; codes come from a tokenizer, so that hash collisions are not adversarial.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix64(self.0.rotate_left(23) ^ word);
    }

    fn write_u128(&mut self, words: u128) {
        self.write_u64(words as u64);
        self.write_u64((words >> 64) as u64);
    }
}
