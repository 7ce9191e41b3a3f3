//! Neighbourhoods in the tree: known prefixes of a Semantic ID, and the items that share most tokens with an item.

use std::ops::Range;

use super::Trie;
use crate::error::{Error, Result};
use crate::sid::Key;
use crate::{guard, memory};

/// Number of keys unpacked at a time.
const BLOCK: usize = 4096;

/// The items nearest some items, as two matrices of (items, `k`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbours {
    /// The neighbours of each item, filled up with −1.
    pub items: Vec<i64>,
    /// Number of leading tokens each shares with the item, filled up with 0.
    pub shared: Vec<u8>,
}

impl Trie {
    /// Number of leading tokens of each key begin a Semantic ID that exists: all of them for one that exists itself.
    ///
    /// # Errors
    /// As [`crate::SidLayout::unpack`].
    pub fn longest_prefix<K: Key>(&self, keys: &[K]) -> Result<Vec<u8>> {
        self.layout.check(keys)?;
        let levels = self.layout.levels();
        let mut tokens = vec![0; BLOCK.min(keys.len()) * levels];
        let mut lengths = memory::with_capacity(keys.len());
        for keys in keys.chunks(BLOCK) {
            guard::check();
            let tokens = &mut tokens[..keys.len() * levels];
            self.layout.unpack(keys, tokens)?;
            lengths.extend(
                tokens
                    .chunks_exact(levels)
                    .map(|tokens| self.known_tokens(tokens)),
            );
        }
        Ok(lengths)
    }

    fn known_tokens(&self, tokens: &[u16]) -> u8 {
        let mut span = self.keys.root();
        let walk = tokens.iter().enumerate().take_while(|&(depth, &token)| {
            span = self.keys.child(depth, span, token);
            !span.is_dead()
        });
        walk.count() as u8
    }

    /// The items that share the most leading tokens with each item: first those under its own Semantic ID, then those under its
    /// prefix of one token less, and so on up to all items; ties by Semantic ID and then by item. At most `k`, never the item itself.
    ///
    /// # Errors
    /// [`Error::UnknownItem`] for an item that is not in the trie.
    pub fn neighbours(&self, items: &[i64], k: usize) -> Result<Neighbours> {
        let places = memory::product::<i64>(items.len(), k);
        let mut neighbours = Neighbours {
            items: memory::filled(-1, places),
            shared: memory::filled(0, places),
        };
        let mut steps = guard::Steps::default();
        for (row, &item) in items.iter().enumerate() {
            steps.step();
            let slot = u32::try_from(item).ok().and_then(|item| self.slot_of(item));
            let slot = slot.ok_or(Error::UnknownItem { row, item })?;
            let ranges = self.ranges_around(slot)?;
            let rings = ranges.windows(2).enumerate().rev();
            let found = rings.flat_map(|(depth, ends)| {
                let (outer, inner) = (&ends[0], &ends[1]);
                let ring = (outer.start..inner.start).chain(inner.end..outer.end);
                ring.map(move |slot| (slot, depth as u8))
            });
            let places = row * k..(row + 1) * k;
            let places = neighbours.items[places.clone()]
                .iter_mut()
                .zip(&mut neighbours.shared[places]);
            for ((slot, depth), (item, shared)) in found.zip(places) {
                steps.step();
                (*item, *shared) = (i64::from(self.shelves.items[slot]), depth);
            }
        }
        Ok(neighbours)
    }

    /// The slots of the items under each prefix of a slot's Semantic ID, from the empty prefix to all its tokens, and last the
    /// slot alone: each range within the one before.
    fn ranges_around(&self, slot: u32) -> Result<Vec<Range<usize>>> {
        let key = self.keys.key(&self.layout, self.shelves.position(slot));
        let mut tokens = vec![0; self.layout.levels()];
        match self.layout.words() {
            1 => self.layout.unpack(&[u64::from_u128(key)], &mut tokens)?,
            _ => self.layout.unpack(&[<[u64; 2]>::from_u128(key)], &mut tokens)?,
        }
        let mut span = self.keys.root();
        let mut ranges = vec![self.slots(0, span)];
        for (depth, &token) in tokens.iter().enumerate() {
            span = self.keys.child(depth, span, token);
            ranges.push(self.slots(depth + 1, span));
        }
        ranges.push(slot as usize..slot as usize + 1);
        Ok(ranges)
    }
}
