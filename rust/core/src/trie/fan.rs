//! Which tokens follow crowded states, as bitmaps, so that no mask has to read many keys.

use crate::array::Array;

/// The bitmaps of one level.
///
/// A state of the tail is crowded if more keys than one *block* are under it. Then at most one crowded state begins in each
/// block of positions, and its bitmap is found by counting the marks before that block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fan {
    /// Words of one bitmap: one bit for each token.
    pub(super) words: usize,
    /// One bit for each block of positions: whether a crowded state begins there. Empty for a head level, which has a bitmap for
    /// each prefix.
    pub(super) marks: Array<u64>,
    /// Number of marks set before each word of them.
    pub(super) ranks: Array<u32>,
    /// The bitmaps, one after the other.
    pub(super) rows: Array<u64>,
}

/// The logarithm of the number of positions in a block. A bitmap takes at most a byte for each position of its block.
pub(super) fn block_bits(size: u32) -> u32 {
    (size / 8).max(32).next_power_of_two().ilog2()
}

/// Number of words the bitmap of a level takes.
pub(super) fn row_words(size: u32) -> usize {
    (size as usize).div_ceil(64)
}

impl Fan {
    /// The bitmap with this number.
    pub(super) fn row(&self, number: usize) -> &[u64] {
        &self.rows[number * self.words..][..self.words]
    }

    /// The bitmap of the crowded state that begins at position `lo`.
    pub(super) fn crowded(&self, lo: u32, block_bits: u32) -> &[u64] {
        let block = (lo >> block_bits) as usize;
        let before = self.marks[block / 64] & ((1 << (block % 64)) - 1);
        self.row(self.ranks[block / 64] as usize + before.count_ones() as usize)
    }
}

/// Collects the crowded states of one level, in order.
pub(super) struct FanBuilder {
    block_bits: u32,
    words: usize,
    marks: Vec<u64>,
    rows: Vec<u64>,
}

impl FanBuilder {
    pub(super) fn new(size: u32, positions: u32) -> Self {
        let block_bits = block_bits(size);
        let marks = vec![0; (positions >> block_bits) as usize / 64 + 1];
        Self {
            block_bits,
            words: row_words(size),
            marks,
            rows: Vec::new(),
        }
    }

    /// Adds the state that begins at `lo` and returns its empty bitmap.
    pub(super) fn add(&mut self, lo: u32) -> &mut [u64] {
        let block = (lo >> self.block_bits) as usize;
        self.marks[block / 64] |= 1 << (block % 64);
        let start = self.rows.len();
        self.rows.resize(start + self.words, 0);
        &mut self.rows[start..]
    }

    pub(super) fn finish(self) -> Fan {
        let mut total = 0;
        let before = |marks: &u64| {
            total += marks.count_ones();
            total - marks.count_ones()
        };
        let ranks = self.marks.iter().map(before).collect::<Vec<_>>();
        Fan {
            words: self.words,
            ranks: ranks.into(),
            marks: self.marks.into(),
            rows: self.rows.into(),
        }
    }
}
