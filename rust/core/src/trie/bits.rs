//! Bits that count and find themselves.

use super::array::Array;

/// Bits per entry of the counts, and ones or zeros per hint.
const BLOCK: usize = 512;
const BLOCK_WORDS: usize = BLOCK / 64;

/// A sequence of bits with the position of its `i`-th one and `i`-th zero in constant time, for about 6 % more space
/// (counts of ones by blocks, then popcount, with the blocks of some ones and zeros as hints where to look).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    /// The bits, lowest first; whole blocks, zeros at the end.
    pub(super) words: Array<u64>,
    /// How many ones stand before each block, and at the end.
    pub(super) ranks: Array<u32>,
    /// The block of each 512th one, and the last block.
    pub(super) ones: Array<u32>,
    /// The block of each 512th zero, and the last block.
    pub(super) zeros: Array<u32>,
}

impl Bits {
    /// The bits of `words`.
    pub(super) fn new(mut words: Vec<u64>) -> Self {
        words.resize(words.len().next_multiple_of(BLOCK_WORDS).max(BLOCK_WORDS), 0);
        Self::with_words(words.into())
    }

    /// Counts whole blocks of bits.
    pub(super) fn with_words(words: Array<u64>) -> Self {
        let (mut ranks, mut ones, mut zeros) = (vec![0], Vec::new(), Vec::new());
        let mut count = [0_usize; 2];
        for (block, words) in words.chunks(BLOCK_WORDS).enumerate() {
            let set: u32 = words.iter().map(|word| word.count_ones()).sum();
            count[1] += set as usize;
            count[0] += 64 * words.len() - set as usize;
            ones.resize(count[1].div_ceil(BLOCK), block as u32);
            zeros.resize(count[0].div_ceil(BLOCK), block as u32);
            ranks.push(count[1] as u32);
        }
        let last = words.len().div_ceil(BLOCK_WORDS).saturating_sub(1) as u32;
        ones.push(last);
        zeros.push(last);
        Self {
            words,
            ranks: ranks.into(),
            ones: ones.into(),
            zeros: zeros.into(),
        }
    }

    /// How many ones there are.
    pub(super) fn count_ones(&self) -> usize {
        self.ranks.last().map_or(0, |&count| count as usize)
    }

    /// The bit at a position.
    pub(super) fn get(&self, position: usize) -> bool {
        self.words[position / 64] >> (position % 64) & 1 == 1
    }

    /// The position of the last one at `position` or before it; there must be one.
    pub(super) fn one_to(&self, position: usize) -> usize {
        let mut at = position / 64;
        let mut word = self.words[at] << (63 - position % 64) >> (63 - position % 64);
        while word == 0 && at > 0 {
            at -= 1;
            word = self.words[at];
        }
        at * 64 + (63 - word.leading_zeros().min(63)) as usize
    }

    /// The position of the first one at `position` or behind it; the end where there is none.
    pub(super) fn one_from(&self, position: usize) -> usize {
        let mut at = position / 64;
        let mut mask = u64::MAX << (position % 64);
        while let Some(word) = self.words.get(at) {
            if word & mask != 0 {
                return at * 64 + (word & mask).trailing_zeros() as usize;
            }
            (at, mask) = (at + 1, u64::MAX);
        }
        at * 64
    }

    /// How many ones stand before `position`, which is within the bits or their end.
    pub(super) fn rank(&self, position: usize) -> usize {
        let block = position / BLOCK;
        let (full, rest) = (position / 64, position % 64);
        let words = &self.words[block * BLOCK_WORDS..full];
        let before: u32 = words.iter().map(|word| word.count_ones()).sum();
        let tail = if rest == 0 {
            0
        } else {
            (self.words[full] << (64 - rest)).count_ones()
        };
        self.ranks[block] as usize + (before + tail) as usize
    }

    /// The position of the `i`-th one, counting from 0; there must be so many.
    pub(super) fn select_one(&self, i: usize) -> usize {
        let (first, last) = (self.ones[i / BLOCK] as usize, self.ones[i / BLOCK + 1] as usize);
        let block = first + self.ranks[first + 1..=last].partition_point(|&rank| rank as usize <= i);
        self.select_in(block, i - self.ranks[block] as usize, 0)
    }

    /// The position of the `i`-th zero, counting from 0; there must be so many.
    pub(super) fn select_zero(&self, i: usize) -> usize {
        let (first, last) = (self.zeros[i / BLOCK] as usize, self.zeros[i / BLOCK + 1] as usize);
        let zeros = |block: usize| block * BLOCK - self.ranks[block] as usize;
        let (mut lo, mut hi) = (first, last);
        while lo < hi {
            let middle = (lo + hi).div_ceil(2);
            if zeros(middle) <= i {
                lo = middle;
            } else {
                hi = middle - 1;
            }
        }
        self.select_in(lo, i - zeros(lo), u64::MAX)
    }

    /// The position of the `i`-th one of a block, once its bits are flipped where `flip` is set.
    fn select_in(&self, block: usize, mut i: usize, flip: u64) -> usize {
        let start = block * BLOCK_WORDS;
        for (at, word) in self.words[start..start + BLOCK_WORDS].iter().enumerate() {
            let count = (word ^ flip).count_ones() as usize;
            if i < count {
                return (start + at) * 64 + select_in_word(word ^ flip, i as u64);
            }
            i -= count;
        }
        // The block was chosen because it holds the bit that is looked for.
        (start + BLOCK_WORDS) * 64
    }
}

/// The position of the `i`-th one of `word`: byte-wise prefix counts in one multiplication (Vigna, "Broadword implementation
/// of rank/select queries", WEA 2008), then bit by bit within the byte.
fn select_in_word(word: u64, i: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let counts = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(ONES);
    let full = ((((i * ONES) | TOPS) - counts) & TOPS) >> 7;
    let shift = (full.wrapping_mul(ONES) >> 56) * 8;
    let mut rest = i - (counts << 8 >> shift & 0xff);
    let mut byte = word >> shift;
    while rest > 0 {
        byte &= byte - 1;
        rest -= 1;
    }
    shift as usize + byte.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_and_finds(words in prop::collection::vec(prop_oneof![Just(0), Just(u64::MAX), any::<u64>()], 0..60)) {
            let bits = Bits::new(words);
            let bit = |at: usize| bits.words[at / 64] >> (at % 64) & 1 == 1;
            let (mut ones, mut zeros) = (0, 0);
            for at in 0..bits.words.len() * 64 {
                prop_assert_eq!(bits.rank(at), ones);
                prop_assert_eq!(bits.get(at), bit(at));
                let from = (at..bits.words.len() * 64).find(|&at| bit(at));
                prop_assert_eq!(bits.one_from(at), from.unwrap_or(bits.words.len() * 64));
                if let Some(last) = (0..=at).rev().find(|&at| bit(at)) {
                    prop_assert_eq!(bits.one_to(at), last);
                }
                if bit(at) {
                    prop_assert_eq!(bits.select_one(ones), at);
                    ones += 1;
                } else {
                    prop_assert_eq!(bits.select_zero(zeros), at);
                    zeros += 1;
                }
            }
            prop_assert_eq!(bits.count_ones(), ones);
            prop_assert_eq!(bits.rank(bits.words.len() * 64), ones);
        }
    }
}
