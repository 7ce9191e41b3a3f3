//! Pairs of tokens as keys of maps.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::Merge;
use crate::rng::mix;

/// A map from the [`key`] of a pair; it is never iterated, so its order does not matter.
pub(super) type PairMap<V> = HashMap<u64, V, BuildHasherDefault<PairHasher>>;

/// A pair, the smaller token first.
pub(super) fn ordered(one: u32, other: u32) -> Merge {
    [one.min(other), one.max(other)]
}

/// A pair as one number.
pub(super) fn key(pair: Merge) -> u64 {
    u64::from(pair[0]) << 32 | u64::from(pair[1])
}

/// Hashes a key by mixing its 64 bits.
#[derive(Default)]
pub(super) struct PairHasher(u64);

impl Hasher for PairHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ value);
    }
}
