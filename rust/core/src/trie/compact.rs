//! The sorted keys in Elias–Fano form, within about half a bit of the least that random keys can take.
//!
//! A key is cut in two. The low bits stand packed side by side; the high bits are written in unary: for each value of
//! them as many ones as there are keys with it, then a zero. With `n` keys of `b` bits, the high part has ⌈log2 n⌉ bits, so that a key
//! takes `b − ⌈log2 n⌉` bits and 2 to 3 more.
//!
//! P. Elias, "Efficient storage and retrieval by content and address of static files", JACM 21 (1974); R. Fano, MIT memo 61 (1971).

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

use super::bits::Bits;
use super::fan::{Fan, row_words};
use super::prefetch::{TOGETHER, prefetch};
use super::walk::Span;
use crate::array::Array;
use crate::guard::Steps;
use crate::sid::{Key, SidLayout};

/// Sorted distinct keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compact {
    layout: SidLayout,
    len: u32,
    /// Number of bits of each key in `low`.
    low_bits: u32,
    /// The low bits of all keys, side by side; two words more than they fill, so that reading never runs over.
    pub(super) low: Array<u64>,
    /// The unary code of the high bits; `2^high bits` zeros and one for each key.
    pub(super) high: Bits,
    /// For the first levels, the tokens that follow each prefix.
    pub(super) fans: Vec<Fan>,
}

/// Levels have bitmaps as long as they take at most one bit for so many keys.
const KEYS_PER_FAN_BIT: usize = 8;

impl Compact {
    /// The Elias–Fano form of keys that are sorted, distinct and valid under `layout`; fewer than `u32::MAX` of them.
    pub(super) fn build<K: Key>(layout: &SidLayout, keys: &[K]) -> Self {
        let low_bits = low_bits(layout, keys.len());
        let mut low = vec![0_u64; low_words(low_bits, keys.len())];
        let mut high = vec![0_u64; (keys.len() + high_values(layout, low_bits)).div_ceil(64)];
        let mut steps = Steps::default();
        for (position, key) in keys.iter().enumerate() {
            steps.step();
            let key = key.to_u128();
            put(&mut low, position as u64 * u64::from(low_bits), low_bits, key);
            let one = shr(key, low_bits) as usize + position;
            high[one / 64] |= 1 << (one % 64);
        }
        let mut compact = Self::new(layout, keys.len() as u32, low.into(), Bits::new(high), Vec::new());
        compact.fans = compact.build_fans();
        compact
    }

    /// Puts the parts together.
    pub(super) fn new(layout: &SidLayout, len: u32, low: Array<u64>, high: Bits, fans: Vec<Fan>) -> Self {
        Self {
            layout: layout.clone(),
            len,
            low_bits: low_bits(layout, len as usize),
            low,
            high,
            fans,
        }
    }

    /// The bitmaps of the first levels.
    pub(super) fn build_fans(&self) -> Vec<Fan> {
        let levels = fan_levels(&self.layout, self.len as usize);
        let mut fans: Vec<Fan> = (0..levels)
            .map(|level| {
                let words = row_words(self.layout.sizes()[level]);
                let prefixes = 1_usize << (self.layout.total_bits() - self.layout.bits_below(level));
                Fan {
                    words,
                    rows: vec![0; prefixes * words].into(),
                    ..Fan::default()
                }
            })
            .collect();
        for (level, fan) in fans.iter_mut().enumerate() {
            let mut rows = fan.rows.to_vec();
            let mut position = 0;
            let mut steps = Steps::default();
            while position < self.len {
                steps.step();
                let prefix = shr(self.key(position), self.layout.bits_below(level + 1));
                let bits = self.layout.bits()[level];
                let (row, code) = (shr(prefix, bits) as usize, prefix as usize & ((1 << bits) - 1));
                rows[row * fan.words + code / 64] |= 1 << (code % 64);
                position = self.after(prefix, level + 1).max(position + 1);
            }
            fan.rows = rows.into();
        }
        fans
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn root(&self) -> Span {
        Span::new(0, self.len)
    }

    /// Where `token`, a token of the level at `depth`, leads.
    pub(super) fn child(&self, depth: usize, span: Span, token: u16) -> Span {
        if span.is_dead() {
            return Span::DEAD;
        }
        let prefix = shr(self.key(span.lo), self.layout.bits_below(depth));
        let prefix = shl(prefix, self.layout.bits()[depth]) | u128::from(token);
        let (lo, hi) = (self.before(prefix, depth + 1), self.after(prefix, depth + 1));
        if lo == hi { Span::DEAD } else { Span::new(lo, hi) }
    }

    /// The state of a key's first `depth` tokens.
    pub(super) fn find(&self, key: u128, depth: usize) -> Span {
        let prefix = shr(key, self.layout.bits_below(depth));
        let (lo, hi) = (self.before(prefix, depth), self.after(prefix, depth));
        if lo == hi { Span::DEAD } else { Span::new(lo, hi) }
    }

    /// The positions of valid keys, as spans of one or none. Keys take each step together, so that their loads overlap.
    #[inline(always)]
    pub(super) fn find_whole<K: Key>(&self, keys: &[K], out: &mut [Span]) {
        let mut blocks = [0; TOGETHER];
        let low_words = &self.low[..];
        for (keys, spans) in keys.chunks(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
            // The ones of a value stand behind the zero that ends the value before.
            for (key, block) in keys.iter().zip(&mut blocks) {
                let high = shr(key.to_u128(), self.low_bits) as usize;
                *block = if high == 0 {
                    0
                } else {
                    self.high.zero_block(high - 1)
                };
                self.high.prefetch(*block);
            }
            for ((key, &block), span) in keys.iter().zip(&blocks).zip(&mut *spans) {
                let high = shr(key.to_u128(), self.low_bits) as usize;
                let first = if high == 0 {
                    0
                } else {
                    self.high.zero_in(block, high - 1) + 1
                };
                let start = (first - high) as u32;
                *span = Span::new(start, start + self.high.ones_from(first) as u32);
                prefetch(
                    low_words,
                    (u64::from(start) * u64::from(self.low_bits) / 64) as usize,
                );
            }
            for (key, span) in keys.iter().zip(spans) {
                let low = key.to_u128() & mask(self.low_bits);
                let (mut lo, mut hi) = (span.lo, span.hi);
                // The limits cross if a trusted file is damaged.
                while hi.saturating_sub(lo) > 8 {
                    let middle = lo.midpoint(hi);
                    (lo, hi) = if self.low_at(middle) <= low {
                        (middle, hi)
                    } else {
                        (lo, middle)
                    };
                }
                let found = (lo..hi).find(|&position| self.low_at(position) == low);
                *span = found.map_or(Span::DEAD, |position| Span::new(position, position + 1));
            }
        }
    }

    /// Sets the bits of the tokens that lead on from a state; `words` come as zeros.
    pub(super) fn allowed_bits(&self, depth: usize, span: Span, words: &mut [u64]) {
        if span.is_dead() {
            return;
        }
        if let Some(fan) = self.fans.get(depth) {
            let prefix = shr(self.key(span.lo), self.layout.bits_below(depth));
            return words.copy_from_slice(fan.row(prefix as usize));
        }
        let mut mark = |key: u128| {
            let token = usize::from(self.layout.token(<[u64; 2]>::from_u128(key), depth));
            words[token / 64] |= 1 << (token % 64);
        };
        // Where keys are many for each token, one search a token is cheaper than reading them all.
        if span.hi - span.lo <= self.layout.sizes()[depth].saturating_mul(16) {
            return self
                .keys(span.lo)
                .take((span.hi - span.lo) as usize)
                .for_each(mark);
        }
        let mut position = span.lo;
        while position < span.hi {
            let key = self.key(position);
            mark(key);
            let after = self.after(shr(key, self.layout.bits_below(depth + 1)), depth + 1);
            // Always behind it, unless a trusted file is damaged.
            position = after.max(position + 1);
        }
    }

    /// The key at a position.
    pub(super) fn key(&self, position: u32) -> u128 {
        let high = self.high.select_one(position as usize) - position as usize;
        shl(high as u128, self.low_bits) | self.low_at(position)
    }

    /// True if no bit is set behind the low bits of the last key.
    pub(super) fn rest_is_zero(&self) -> bool {
        let used = u64::from(self.len) * u64::from(self.low_bits);
        let (full, part) = ((used / 64) as usize, used % 64);
        self.low[full] >> part == 0 && self.low[full + 1..].iter().all(|&word| word == 0)
    }

    /// True if the last key, and so every key, has high bits that exist.
    pub(super) fn ends_within(&self) -> bool {
        let Some(last) = (self.len as usize).checked_sub(1) else {
            return true;
        };
        self.high.select_one(last) - last < high_values(&self.layout, self.low_bits)
    }

    /// The keys from a position on.
    pub(super) fn keys(&self, position: u32) -> impl Iterator<Item = u128> {
        let rest = self.len - position;
        let first = if rest == 0 {
            0
        } else {
            self.high.select_one(position as usize)
        };
        let mut word = self.high.words[first / 64] & u64::MAX << (first % 64);
        let mut at = first / 64;
        (position..self.len).map(move |position| {
            while word == 0 {
                at += 1;
                word = self.high.words[at];
            }
            let one = at * 64 + word.trailing_zeros() as usize;
            word &= word - 1;
            shl((one - position as usize) as u128, self.low_bits) | self.low_at(position)
        })
    }

    /// Number of keys below `key`, and whether the key itself is here.
    pub(super) fn rank(&self, key: u128) -> (u32, bool) {
        let position = self.partition(key, |low, bound| low < bound);
        (position, position < self.len && self.key(position) == key)
    }

    /// Number of keys below all with this prefix of `depth` tokens.
    fn before(&self, prefix: u128, depth: usize) -> u32 {
        let first = shl(prefix, self.layout.bits_below(depth));
        self.partition(first, |low, bound| low < bound)
    }

    /// Number of keys below or within those with this prefix of `depth` tokens.
    fn after(&self, prefix: u128, depth: usize) -> u32 {
        let free = self.layout.bits_below(depth);
        let last = shl(prefix, free) | mask(free);
        self.partition(last, |low, bound| low <= bound)
    }

    /// Number of keys that have lower high bits than `bound`, or the same and low bits that `is_before` those of `bound`.
    fn partition(&self, bound: u128, is_before: impl Fn(u128, u128) -> bool) -> u32 {
        let (high, low) = (shr(bound, self.low_bits) as usize, bound & mask(self.low_bits));
        let (mut lo, mut hi) = (self.start_of(high), self.start_of(high + 1));
        while lo < hi {
            let middle = lo.midpoint(hi);
            if is_before(self.low_at(middle), low) {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        lo
    }

    /// Number of keys that have high bits below `high`.
    fn start_of(&self, high: usize) -> u32 {
        if high == 0 {
            0
        } else {
            (self.high.select_zero(high - 1) - (high - 1)) as u32
        }
    }

    fn low_at(&self, position: u32) -> u128 {
        get(
            &self.low,
            u64::from(position) * u64::from(self.low_bits),
            self.low_bits,
        )
    }
}

/// Number of bits of a key outside the unary code.
pub(super) fn low_bits(layout: &SidLayout, keys: usize) -> u32 {
    let high = usize::BITS - keys.saturating_sub(1).leading_zeros();
    layout.total_bits().saturating_sub(high)
}

/// Number of values the high bits have.
pub(super) fn high_values(layout: &SidLayout, low_bits: u32) -> usize {
    1 << (layout.total_bits() - low_bits)
}

/// Number of words of the low bits of a number of keys.
pub(super) fn low_words(low_bits: u32, keys: usize) -> usize {
    (keys as u64 * u64::from(low_bits)).div_ceil(64) as usize + 2
}

/// Number of first levels with bitmaps.
pub(super) fn fan_levels(layout: &SidLayout, keys: usize) -> usize {
    let fits = |&level: &usize| {
        let prefixes = layout.total_bits() - layout.bits_below(level);
        let words = row_words(layout.sizes()[level]);
        prefixes < 32 && (words * 64) << prefixes <= keys / KEYS_PER_FAN_BIT
    };
    (0..layout.levels()).take_while(fits).count()
}

/// Writes the lowest `width` bits of `value` at bit `at`, where zeros stand.
fn put(words: &mut [u64], at: u64, width: u32, value: u128) {
    let (word, shift) = ((at / 64) as usize, at as u32 % 64);
    let value = value & mask(width);
    words[word] |= (value << shift) as u64;
    words[word + 1] |= (value << shift >> 64) as u64;
    if shift > 0 {
        words[word + 2] |= (value >> 1 >> (127 - shift)) as u64;
    }
}

/// The `width` bits at bit `at`.
fn get(words: &[u64], at: u64, width: u32) -> u128 {
    let (word, shift) = ((at / 64) as usize, at as u32 % 64);
    let mut value = u128::from(words[word]) | u128::from(words[word + 1]) << 64;
    value >>= shift;
    if width > 64 && shift > 0 {
        value |= u128::from(words[word + 2]) << (128 - shift);
    }
    value & mask(width)
}

/// The lowest `count` bits, for 0 to 128.
fn mask(count: u32) -> u128 {
    u128::MAX.checked_shr(128 - count).unwrap_or(0)
}

fn shl(value: u128, by: u32) -> u128 {
    value.checked_shl(by).unwrap_or(0)
}

fn shr(value: u128, by: u32) -> u128 {
    value.checked_shr(by).unwrap_or(0)
}
