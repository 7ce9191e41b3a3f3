//! The sorted keys, in either layout.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

use std::ops::Range;

use super::columns::Columns;
use super::compact::Compact;
use super::walk::Span;
use crate::sid::{Key, SidLayout};

/// Storage of the keys of a trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A directory, columns of tokens, bitmaps of crowded states: a step is a few loads. The default.
    Fast,
    /// Elias–Fano: as small as random keys can be, several times slower to walk.
    Compact,
}

/// Sorted distinct keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    Fast(Columns),
    Compact(Compact),
}

impl Keys {
    pub(super) fn build<K: Key>(layout: &SidLayout, keys: &[K], storage: Storage) -> Self {
        match storage {
            Storage::Fast => Self::Fast(Columns::build(layout, keys)),
            Storage::Compact => Self::Compact(Compact::build(layout, keys)),
        }
    }

    pub(super) fn storage(&self) -> Storage {
        match self {
            Self::Fast(_) => Storage::Fast,
            Self::Compact(_) => Storage::Compact,
        }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> u32 {
        match self {
            Self::Fast(keys) => keys.len(),
            Self::Compact(keys) => keys.len(),
        }
    }

    /// The state of the empty prefix.
    pub(super) fn root(&self) -> Span {
        match self {
            Self::Fast(keys) => keys.root(),
            Self::Compact(keys) => keys.root(),
        }
    }

    /// The positions of the keys under a state of `depth` tokens.
    pub(super) fn positions(&self, depth: usize, span: Span) -> Range<u32> {
        match self {
            Self::Fast(keys) => keys.positions(depth, span),
            Self::Compact(_) => span.lo..span.hi,
        }
    }

    /// Where `token`, a token of the level at `depth`, leads.
    pub(super) fn child(&self, depth: usize, span: Span, token: u16) -> Span {
        match self {
            Self::Fast(keys) => keys.child(depth, span, token),
            Self::Compact(keys) => keys.child(depth, span, token),
        }
    }

    /// Sets the bits of the tokens that lead on from a state; `words` come as zeros.
    pub(super) fn allowed_bits(&self, depth: usize, span: Span, words: &mut [u64]) {
        match self {
            Self::Fast(keys) => {
                let level = keys.level(depth);
                level.set_bits(level.next(span), words);
            }
            Self::Compact(keys) => keys.allowed_bits(depth, span, words),
        }
    }

    /// The states of the first `depth` tokens of valid keys.
    #[inline(always)]
    pub(super) fn find<K: Key>(&self, layout: &SidLayout, keys: &[K], depth: usize, out: &mut [Span]) {
        match self {
            Self::Fast(columns) => columns.find(layout, keys, depth, out),
            Self::Compact(compact) if depth == layout.levels() => compact.find_whole(keys, out),
            Self::Compact(compact) => {
                for (key, span) in keys.iter().zip(out) {
                    *span = compact.find(key.to_u128(), depth);
                }
            }
        }
    }

    /// The key at a position.
    pub(super) fn key(&self, layout: &SidLayout, position: u32) -> u128 {
        match self {
            Self::Fast(keys) => keys.key(layout, position),
            Self::Compact(keys) => keys.key(position),
        }
    }

    /// Number of keys below `key`, and whether the key itself is here.
    pub(super) fn rank(&self, layout: &SidLayout, key: u128) -> (u32, bool) {
        match self {
            Self::Fast(keys) => keys.rank(layout, key),
            Self::Compact(keys) => keys.rank(key),
        }
    }
}
