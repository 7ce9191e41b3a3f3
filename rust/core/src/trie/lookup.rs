//! Lookup of the items of Semantic IDs, and of the Semantic IDs of items.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

use std::array;
use std::ops::Range;

use super::prefetch::{TOGETHER, prefetch};
use super::walk::Span;
use super::{Shelves, Trie};
use crate::error::{Error, Result};
use crate::guard::Steps;
#[cfg(target_arch = "x86_64")]
use crate::pack::has_avx512;
use crate::sid::Key;
use crate::{memory, pool};

/// Number of keys one thread looks up before it asks for more.
const TASK: usize = 4096;

impl Trie {
    /// The items with exactly this Semantic ID, ascending; none where it does not exist.
    ///
    /// # Errors
    /// As [`crate::SidLayout::unpack`].
    ///
    /// ```
    /// use sidkit_core::{SidLayout, Trie};
    ///
    /// let layout = SidLayout::new(&[256, 256])?;
    /// let trie = Trie::build(layout, &[7_u64, 900, 7], None)?;
    /// assert_eq!(trie.get(7_u64)?, [0, 2]);
    /// assert!(trie.get(8_u64)?.is_empty());
    /// # Ok::<(), sidkit_core::Error>(())
    /// ```
    pub fn get<K: Key>(&self, key: K) -> Result<&[u32]> {
        self.layout.check(&[key])?;
        let mut span = [Span::DEAD];
        self.keys
            .find(&self.layout, &[key], self.layout.levels(), &mut span);
        let [span] = span;
        Ok(&self.shelves.items[self.shelves.slots(span.lo..span.hi)])
    }

    /// The items with exactly these Semantic IDs: those of `keys[i]`, ascending, are `values[offsets[i]..offsets[i + 1]]`. Many keys
    /// are divided among threads.
    ///
    /// # Errors
    /// As [`crate::SidLayout::unpack`].
    pub fn lookup<K: Key>(&self, keys: &[K]) -> Result<(Vec<u32>, Vec<i64>)> {
        self.layout.check(keys)?;
        let mut offsets = memory::filled(0, keys.len() + 1);
        let mut parts = vec![Vec::new(); keys.len().div_ceil(TASK)];
        let tasks = keys
            .chunks(TASK)
            .zip(offsets[1..].chunks_mut(TASK))
            .zip(&mut parts);
        // One thread, or 0 for all.
        let threads = usize::from(keys.len() < 4 * TASK);
        pool::for_each(threads, tasks, |((keys, ends), values)| {
            values.reserve(keys.len() + TOGETHER);
            self.append_items(keys, values, ends);
        });
        if let [only] = &mut parts[..] {
            return Ok((std::mem::take(only), offsets));
        }
        let mut values = memory::with_capacity(parts.iter().map(Vec::len).sum());
        for (part, ends) in parts.iter().zip(offsets[1..].chunks_mut(TASK)) {
            let before = values.len() as i64;
            for end in ends {
                *end += before;
            }
            values.extend_from_slice(part);
        }
        Ok((values, offsets))
    }

    /// Appends the items of valid keys to `values`; `ends` receives its length behind each key's.
    fn append_items<K: Key>(&self, keys: &[K], values: &mut Vec<u32>, ends: &mut [i64]) {
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            // SAFETY: the features that `append_items_avx512` asks for were detected.
            return unsafe { self.append_items_avx512(keys, values, ends) };
        }
        self.append_items_any(keys, values, ends);
    }

    // The same loops, compiled for a processor that counts and searches bits.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
    fn append_items_avx512<K: Key>(&self, keys: &[K], values: &mut Vec<u32>, ends: &mut [i64]) {
        self.append_items_any(keys, values, ends);
    }

    /// Keys take each step together, so that their loads overlap.
    #[inline(always)]
    fn append_items_any<K: Key>(&self, keys: &[K], values: &mut Vec<u32>, ends: &mut [i64]) {
        let items = &self.shelves.items[..];
        let mut spans = [Span::DEAD; TOGETHER];
        let mut shelves: [Range<usize>; TOGETHER] = array::from_fn(|_| 0..0);
        for (keys, ends) in keys.chunks(TOGETHER).zip(ends.chunks_mut(TOGETHER)) {
            let (spans, shelves) = (&mut spans[..keys.len()], &mut shelves[..keys.len()]);
            self.keys.find(&self.layout, keys, self.layout.levels(), spans);
            self.shelves.slots_of(spans, shelves);
            for (slots, end) in shelves.iter().zip(ends) {
                match items[slots.clone()] {
                    [only] => values.push(only),
                    ref several => {
                        memory::reserve(values, several.len());
                        values.extend_from_slice(several);
                    }
                }
                *end = values.len() as i64;
            }
        }
    }

    /// The Semantic ID of each item.
    ///
    /// # Errors
    /// [`Error::KeyWords`] for the wrong type of key, [`Error::UnknownItem`] for an item that is not in the trie.
    pub fn sids<K: Key>(&self, items: &[i64]) -> Result<Vec<K>> {
        self.layout.check::<K>(&[])?;
        memory::check::<K>(items.len());
        let mut steps = Steps::default();
        let sid = |(row, &item): (usize, &i64)| {
            steps.step();
            let slot = u32::try_from(item).ok().and_then(|item| self.slot_of(item));
            let slot = slot.ok_or(Error::UnknownItem { row, item })?;
            Ok(K::from_u128(
                self.keys.key(&self.layout, self.shelves.position(slot)),
            ))
        };
        items.iter().enumerate().map(sid).collect()
    }
}

impl Shelves {
    /// The slots of the items of up to [`TOGETHER`] keys, each a position or dead, and a wish for the memory of the items.
    #[inline(always)]
    fn slots_of(&self, spans: &[Span], slots: &mut [Range<usize>]) {
        let items = &self.items[..];
        let Some(firsts) = &self.firsts else {
            for (span, slots) in spans.iter().zip(slots) {
                *slots = span.lo as usize..span.hi as usize;
                prefetch(items, slots.start);
            }
            return;
        };
        // A dead key is looked for as the first one, since to pass it over is a branch that no processor foresees.
        let mut blocks = [0; TOGETHER];
        for (span, block) in spans.iter().zip(&mut blocks) {
            *block = firsts.one_block(span.lo as usize);
            firsts.prefetch(*block);
        }
        for ((span, &block), slots) in spans.iter().zip(&blocks).zip(slots) {
            let first = firsts.one_in(block, span.lo as usize);
            let end = firsts.one_from(first + 1).min(items.len());
            *slots = first..if span.is_dead() { first } else { end };
            prefetch(items, first);
        }
    }
}
