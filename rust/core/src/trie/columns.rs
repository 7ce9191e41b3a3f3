//! The sorted keys, as a directory over the head levels and one column of digits for each tail level.

use std::ops::Range;

use super::walk::Span;
use crate::sid::{Key, SidLayout};

/// Sorted distinct keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// For each head level, how many bits of the directory's index lie below its digit. Its length is the number of
    /// head levels.
    pub(super) below: Vec<u32>,
    /// `directory[p]` is the position of the first key whose head bits are `p` or more; `2^head bits + 1` entries,
    /// so that `directory[p]..directory[p + 1]` are the keys of one head.
    pub(super) directory: Vec<u32>,
    /// The digits of each level below the head, by position; sorted within any range that shares the levels above.
    pub(super) tail: Vec<Column>,
}

/// The digits of one level, as narrow as its number of codes allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// At most 256 codes.
    Narrow(Vec<u8>),
    /// More.
    Wide(Vec<u16>),
}

/// What a column is made of.
pub(super) trait Digit: Copy + Ord {
    /// The code it stands for.
    fn code(self) -> u16;
}

impl Digit for u8 {
    fn code(self) -> u16 {
        self.into()
    }
}

impl Digit for u16 {
    fn code(self) -> u16 {
        self
    }
}

/// Runs `$body` with `$digits` bound to the slice of a column, once for each width.
macro_rules! with_digits {
    ($column:expr, $digits:ident => $body:expr) => {
        match $column {
            $crate::trie::columns::Column::Narrow(column) => {
                let $digits = &column[..];
                $body
            }
            $crate::trie::columns::Column::Wide(column) => {
                let $digits = &column[..];
                $body
            }
        }
    };
}
pub(super) use with_digits;

/// How many levels the directory resolves: as many as have no more slots than there are keys.
pub(super) fn head_levels(layout: &SidLayout, keys: usize) -> usize {
    let most = keys.max(1).ilog2();
    let mut bits = 0;
    let fits = |&&level: &&u32| {
        bits += level;
        bits <= most
    };
    layout.bits().iter().take_while(fits).count()
}

/// For each of the first `head` levels, how many of their bits lie below its digit.
pub(super) fn bits_below(layout: &SidLayout, head: usize) -> Vec<u32> {
    let total = layout.bits_below(head);
    (1..=head).map(|depth| layout.bits_below(depth) - total).collect()
}

impl Columns {
    /// The columns of keys that are sorted, distinct and valid under `layout`; fewer than `u32::MAX` of them.
    pub(super) fn new<K: Key>(layout: &SidLayout, keys: &[K]) -> Self {
        let head = head_levels(layout, keys.len());
        let rest = layout.bits_below(head);
        let slots = 1_usize << (layout.total_bits() - rest);
        let mut directory = vec![0_u32; slots + 1];
        for key in keys {
            let slot = key.to_u128().checked_shr(rest).unwrap_or(0) as usize;
            directory[slot + 1] += 1;
        }
        let mut total = 0;
        for entry in &mut directory {
            total += *entry;
            *entry = total;
        }
        let column = |level| {
            let digits = keys.iter().map(|&key| layout.digit(key, level));
            if layout.sizes()[level] <= 256 {
                Column::Narrow(digits.map(|digit| digit as u8).collect())
            } else {
                Column::Wide(digits.collect())
            }
        };
        Self {
            below: bits_below(layout, head),
            directory,
            tail: (head..layout.levels()).map(column).collect(),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> u32 {
        self.directory[self.directory.len() - 1]
    }

    /// How many levels the directory resolves.
    pub(super) fn head(&self) -> usize {
        self.below.len()
    }

    /// The state of the empty prefix.
    pub(super) fn root(&self) -> Span {
        if self.len() == 0 {
            Span::DEAD
        } else if self.head() == 0 {
            Span::new(0, self.len())
        } else {
            Span::new(0, (self.directory.len() - 1) as u32)
        }
    }

    /// The positions of the keys under a state of `depth` digits.
    pub(super) fn positions(&self, depth: usize, span: Span) -> Range<u32> {
        if depth < self.head() {
            self.directory[span.lo as usize]..self.directory[span.hi as usize]
        } else {
            span.lo..span.hi
        }
    }

    /// Where `digit`, a code of the level at `depth`, leads.
    pub(super) fn child(&self, depth: usize, span: Span, digit: u16) -> Span {
        if span.is_dead() {
            return Span::DEAD;
        }
        if depth < self.head() {
            return self.slot_child(depth, span.lo, digit);
        }
        with_digits!(&self.tail[depth - self.head()], digits => {
            let run = &digits[span.lo as usize..span.hi as usize];
            let start = run.partition_point(|&d| d.code() < digit);
            let length = run[start..].partition_point(|&d| d.code() == digit);
            Span::new(span.lo + start as u32, span.lo + (start + length) as u32)
        })
    }

    /// Where `digit` leads from the head state whose first slot is `slot`.
    pub(super) fn slot_child(&self, depth: usize, slot: u32, digit: u16) -> Span {
        let below = self.below[depth];
        let first = slot + (u32::from(digit) << below);
        let (first, last) = (first as usize, first as usize + (1 << below));
        let (lo, hi) = (self.directory[first], self.directory[last]);
        if lo == hi {
            Span::DEAD
        } else if depth + 1 == self.head() {
            Span::new(lo, hi)
        } else {
            Span::new(first as u32, last as u32)
        }
    }

    /// Calls `visit` with each child of a state: its digit and where it leads, ascending.
    pub(super) fn for_each_child(
        &self,
        size: u32,
        depth: usize,
        span: Span,
        mut visit: impl FnMut(u16, Span),
    ) {
        if span.is_dead() {
            return;
        }
        if depth < self.head() {
            for digit in 0..size {
                let child = self.slot_child(depth, span.lo, digit as u16);
                if !child.is_dead() {
                    visit(digit as u16, child);
                }
            }
            return;
        }
        with_digits!(&self.tail[depth - self.head()], digits => {
            let digits = &digits[..span.hi as usize];
            let mut lo = span.lo as usize;
            while lo < digits.len() {
                let hi = end_of_run(digits, lo);
                visit(digits[lo].code(), Span::new(lo as u32, hi as u32));
                lo = hi;
            }
        });
    }
}

/// The end of the run of equal digits that begins at `lo`, in sorted `digits`: doubling steps, then halving.
pub(super) fn end_of_run<D: Digit>(digits: &[D], lo: usize) -> usize {
    let digit = digits[lo];
    let (mut hi, mut step) = (lo + 1, 1);
    while hi < digits.len() && digits[hi] == digit {
        hi += step;
        step *= 2;
    }
    let known = hi.saturating_sub(step / 2).max(lo + 1);
    let end = hi.min(digits.len());
    known + digits[known..end].partition_point(|&d| d == digit)
}
