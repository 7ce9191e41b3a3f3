//! Children of a state, read from its level.

use super::columns::{Column, Columns, with_tokens};
use super::fan::{Fan, block_bits};
use super::prefetch::prefetch_run;
use super::row::set_bits;
use super::walk::Span;

/// Where the tokens after a state stand.
#[derive(Clone, Copy)]
pub(super) enum Next<'a> {
    /// It is dead.
    Nothing,
    /// In a bitmap.
    Bitmap(&'a [u64]),
    /// At the state's positions of a column.
    Run(&'a Column, Span),
    /// In the directory, few enough to try each.
    Few(Span),
}

/// One level of a trie, looked up once for a whole batch of states.
#[derive(Clone, Copy)]
pub(super) enum Level<'a> {
    /// A head level without bitmaps.
    Few {
        columns: &'a Columns,
        depth: usize,
        size: u32,
    },
    /// A head level, and how many bits of the directory's index lie below a prefix.
    Head { fan: &'a Fan, below: u32 },
    /// A tail level, and the logarithm of the positions in a block of its bitmaps.
    Tail {
        fan: &'a Fan,
        column: &'a Column,
        block_bits: u32,
    },
}

impl<'a> Level<'a> {
    pub(super) fn head(columns: &'a Columns, depth: usize, size: u32, fan: &'a Fan) -> Self {
        if fan.words == 0 {
            return Self::Few { columns, depth, size };
        }
        let below = columns.bits_below(depth) + (size - 1).ilog2() + 1;
        Self::Head { fan, below }
    }

    pub(super) fn tail(size: u32, fan: &'a Fan, column: &'a Column) -> Self {
        Self::Tail {
            fan,
            column,
            block_bits: block_bits(size),
        }
    }

    /// Source of the tokens that can follow a state.
    #[inline]
    pub(super) fn next(self, span: Span) -> Next<'a> {
        if span.is_dead() {
            return Next::Nothing;
        }
        match self {
            Self::Few { .. } => Next::Few(span),
            Self::Head { fan, below } => Next::Bitmap(fan.row((span.lo >> below) as usize)),
            Self::Tail { fan, block_bits, .. } if span.hi - span.lo > 1 << block_bits => {
                Next::Bitmap(fan.crowded(span.lo, block_bits))
            }
            Self::Tail { column, .. } => Next::Run(column, span),
        }
    }

    /// Sets the bits of the tokens that lead on; `words` come as zeros.
    pub(super) fn set_bits(self, next: Next<'_>, words: &mut [u64]) {
        match (next, self) {
            (Next::Bitmap(row), _) => words.copy_from_slice(row),
            (Next::Run(column, span), _) => with_tokens!(column, tokens => {
                set_bits(&tokens[span.lo as usize..span.hi as usize], words);
            }),
            (Next::Few(span), Self::Few { columns, depth, size }) => {
                for code in (0..size).map(|code| code as u16) {
                    let leads = !columns.slot_child(depth, span.lo, code).is_dead();
                    words[usize::from(code) / 64] |= u64::from(leads) << (code % 64);
                }
            }
            (Next::Nothing | Next::Few(_), _) => {}
        }
    }
}

impl Next<'_> {
    /// Asks for the memory that will be read.
    #[inline]
    pub(super) fn prefetch(self) {
        match self {
            Self::Nothing | Self::Few(_) => {}
            Self::Bitmap(row) => prefetch_run(row, 0, row.len()),
            Self::Run(column, span) => with_tokens!(column, tokens => {
                prefetch_run(tokens, span.lo as usize, span.hi as usize);
            }),
        }
    }
}
