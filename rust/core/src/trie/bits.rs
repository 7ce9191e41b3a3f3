//! Bits that count and find themselves.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

use super::prefetch::prefetch;
use crate::array::Array;

/// Bits per entry of the counts, and ones or zeros per hint.
const BLOCK: usize = 512;
const BLOCK_WORDS: usize = BLOCK / 64;

/// A sequence of bits with the position of its `i`-th one and `i`-th zero in constant time, for about 6 % more space
/// (counts of ones by blocks, then popcount, with the blocks of some ones and zeros as hints where to look).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    /// The bits, lowest first; whole blocks, zeros at the end.
    pub(super) words: Array<u64>,
    /// Number of ones before each block, and at the end.
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

    /// Number of ones.
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

    /// Number of consecutive ones from `position` on.
    #[inline(always)]
    pub(super) fn ones_from(&self, position: usize) -> usize {
        let (mut at, shift) = (position / 64, position % 64);
        let Some(&word) = self.words.get(at) else { return 0 };
        let mut ones = (word >> shift).trailing_ones() as usize;
        if ones + shift < 64 {
            return ones;
        }
        while let Some(word) = self.words.get(at + 1) {
            ones += word.trailing_ones() as usize;
            if *word != u64::MAX {
                break;
            }
            at += 1;
        }
        ones
    }

    /// Number of ones before `position`, which is within the bits or their end.
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
    #[inline]
    pub(super) fn select_one(&self, i: usize) -> usize {
        self.one_in(self.one_block(i), i)
    }

    /// The position of the `i`-th zero, counting from 0; there must be so many.
    #[inline]
    pub(super) fn select_zero(&self, i: usize) -> usize {
        self.zero_in(self.zero_block(i), i)
    }

    /// The block of the `i`-th one.
    #[inline(always)]
    pub(super) fn one_block(&self, i: usize) -> usize {
        let (first, last) = (self.ones[i / BLOCK] as usize, self.ones[i / BLOCK + 1] as usize);
        let ranks = &self.ranks[first + 1..=last];
        // Where ones are many, the next blocks are the likely ones.
        let near = ranks
            .iter()
            .take(4)
            .take_while(|&&rank| rank as usize <= i)
            .count();
        first
            + if near < 4 {
                near
            } else {
                ranks.partition_point(|&rank| rank as usize <= i)
            }
    }

    /// The block of the `i`-th zero.
    #[inline(always)]
    pub(super) fn zero_block(&self, i: usize) -> usize {
        let zeros = |block: usize| block * BLOCK - self.ranks[block] as usize;
        let (mut lo, mut hi) = (self.zeros[i / BLOCK] as usize, self.zeros[i / BLOCK + 1] as usize);
        while lo < hi {
            let middle = (lo + hi).div_ceil(2);
            if zeros(middle) <= i {
                lo = middle;
            } else {
                hi = middle - 1;
            }
        }
        lo
    }

    /// The position of the `i`-th one, which is in this block.
    #[inline(always)]
    pub(super) fn one_in(&self, block: usize, i: usize) -> usize {
        self.select_in(block, i - self.ranks[block] as usize, 0)
    }

    /// The position of the `i`-th zero, which is in this block.
    #[inline(always)]
    pub(super) fn zero_in(&self, block: usize, i: usize) -> usize {
        let before = block * BLOCK - self.ranks[block] as usize;
        self.select_in(block, i - before, u64::MAX)
    }

    /// Asks for the bits of a block that will be looked into soon.
    #[inline(always)]
    pub(super) fn prefetch(&self, block: usize) {
        prefetch(&self.words, block * BLOCK_WORDS);
        prefetch(&self.words, block * BLOCK_WORDS + BLOCK_WORDS - 1);
    }

    /// The position of the `i`-th one of a block, once its bits are flipped where `flip` is set. It must be in the block.
    #[inline(always)]
    fn select_in(&self, block: usize, i: usize, flip: u64) -> usize {
        let start = block * BLOCK_WORDS;
        let words = &self.words[start..start + BLOCK_WORDS];
        // All words are counted, since to stop at the right one is a branch that no processor foresees.
        let (mut at, mut before, mut sum) = (0, 0, 0);
        for word in &words[..BLOCK_WORDS - 1] {
            sum += (word ^ flip).count_ones() as usize;
            let past = sum <= i;
            at += usize::from(past);
            before = if past { sum } else { before };
        }
        (start + at) * 64 + select_in_word(words[at] ^ flip, (i - before) as u64)
    }
}

/// The position of the `i`-th one of `word`: byte-wise prefix counts in one multiplication (Vigna, "Broadword implementation
/// of rank/select queries", WEA 2008), then a table for the byte.
#[inline(always)]
fn select_in_word(word: u64, i: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = ONES << 7;
    let pairs = word - (word >> 1 & 0x5555_5555_5555_5555);
    let nibbles = (pairs & 0x3333_3333_3333_3333) + (pairs >> 2 & 0x3333_3333_3333_3333);
    let counts = ((nibbles + (nibbles >> 4)) & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(ONES);
    let full = ((((i.wrapping_mul(ONES)) | TOPS) - counts) & TOPS) >> 7;
    let shift = (full.wrapping_mul(ONES) >> 56) * 8 % 64;
    let rest = i.wrapping_sub(counts << 8 >> shift & 0xff) % 8;
    let byte = word >> shift & 0xff;
    shift as usize + usize::from(SELECT_IN_BYTE[(rest << 8 | byte) as usize])
}

/// The position of the `i`-th one of `byte`, at `256 * i + byte`.
static SELECT_IN_BYTE: [u8; 2048] = select_in_byte();

const fn select_in_byte() -> [u8; 2048] {
    let mut table = [0; 2048];
    let mut byte = 0;
    while byte < 256 {
        let (mut bit, mut ones) = (0_u8, 0);
        while bit < 8 {
            if byte >> bit & 1 == 1 {
                table[ones << 8 | byte] = bit;
                ones += 1;
            }
            bit += 1;
        }
        byte += 1;
    }
    table
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
                prop_assert_eq!(bits.ones_from(at), (at..bits.words.len() * 64).take_while(|&at| bit(at)).count());
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
