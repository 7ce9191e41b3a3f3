//! Items with equal codes: who comes how late under a code, and where the surplus goes.
//!
//! A *key* is a packed code, of one word or two. Three ways to place items that have no room of their own, each of them
//! deterministic, each reading the wishes of an item in its order of preference:
//!
//! - [`first`]: round by round, each item asks for its next wish; a code with room takes who asks first in the order
//!   of the items.
//! - [`nearest`]: a code with room for few keeps those to whom it costs the least (deferred acceptance, Gale and Shapley 1962).
//! - [`sinkhorn`]: all wishes are weighed at once by entropic transport, then rounded.
//!
//! ```
//! use sidkit_core::collide;
//!
//! assert_eq!(collide::ranks(&[7_u64, 3, 7, 7]), [0, 0, 1, 2]);
//! // Code 7 is taken; two items wish for 7, then 8, then 9.
//! let placed = collide::first(&[7_u64], &[7, 8, 9, 7, 8, 9], 3, 1);
//! assert_eq!(placed, [1, 2]);
//! ```

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::hash::mix64;

mod nearest;
mod sinkhorn;

pub use nearest::nearest;
pub use sinkhorn::{Sinkhorn, sinkhorn};

/// The place of an item that found no room among its wishes.
pub const UNPLACED: u32 = u32::MAX;

/// For each key, how many earlier ones are equal to it.
///
/// # Panics
///
/// If there are 2^32 keys or more.
#[must_use]
pub fn ranks<K: Copy + Ord>(keys: &[K]) -> Vec<u32> {
    assert!(u32::try_from(keys.len()).is_ok(), "at most 2^32 - 1 keys");
    let mut order: Vec<(K, u32)> = keys.iter().zip(0..).map(|(&key, row)| (key, row)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; keys.len()];
    for group in order.chunk_by(|a, b| a.0 == b.0) {
        for (rank, &(_, row)) in (0..).zip(group) {
            ranks[row as usize] = rank;
        }
    }
    ranks
}

/// The wish that each item gets, when codes take whoever asks first.
///
/// `settled` are the keys of the items that stay, one an item; `wishes` has `choices` keys an item, best first. A code has
/// room for `capacity` items, the settled among them. In round r all items without a place ask, in their order, for
/// their r-th wish. Gives the number of the wish, or [`UNPLACED`].
///
/// Takes time linear in the wishes that are looked at, and memory linear in the items.
///
/// # Panics
///
/// If `wishes` is not a whole number of rows.
#[must_use]
pub fn first<K: Copy + Eq + Hash>(settled: &[K], wishes: &[K], choices: usize, capacity: u32) -> Vec<u32> {
    let items = rows(wishes, choices);
    let mut occupied = occupancy(settled);
    let mut placed = vec![UNPLACED; items];
    let mut waiting: Vec<usize> = (0..items).collect();
    for choice in 0..choices {
        waiting.retain(|&item| {
            let full = occupied.entry(wishes[item * choices + choice]).or_insert(0);
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

/// How many items each wishes for, checked.
fn rows<K>(wishes: &[K], choices: usize) -> usize {
    let items = wishes.len().checked_div(choices).unwrap_or(0);
    assert_eq!(
        items * choices,
        wishes.len(),
        "wishes must be whole rows of {choices}"
    );
    items
}

/// How many items each settled key has.
fn occupancy<K: Copy + Eq + Hash>(settled: &[K]) -> Counts<K> {
    let mut occupied = Counts::with_capacity_and_hasher(settled.len(), BuildHasherDefault::default());
    for &key in settled {
        *occupied.entry(key).or_insert(0) += 1;
    }
    occupied
}

type Counts<K> = HashMap<K, u32, BuildHasherDefault<Mixed>>;

/// A hash of one integer: codes are a tokenizer's, so nobody picks them to collide, and speed counts.
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
