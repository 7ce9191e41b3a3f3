//! n-gram rows of one Semantic ID side by side: the windows are the lanes of a vector register.
//!
//! Every lane does the same sums with constants of its own, so a compiler turns the loops below into vector
//! instructions by itself. A register may have more lanes than there are windows; what the surplus lanes
//! write is overwritten by the next Semantic ID, and the last few Semantic IDs are left to the plain loop.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for wider registers"
)]

use std::array;

use crate::hash::{mix64, multiply_high_32};
use crate::ngram::{Gram, Way};
#[cfg(target_arch = "x86_64")]
use crate::pack::has_avx512;
use crate::sid::Key;

/// The constants of all windows, in groups of as many as a register has lanes.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    grams: usize,
    /// The presence of hashed windows, and of hashed windows wider than 64 bits.
    hashed: bool,
    wide: bool,
    /// True if any window has rows of its own.
    exact: bool,
    /// One window a lane. If there are no more than `SEVERAL`, the one group repeats them.
    groups: Vec<Group>,
    /// The windows whose lanes hold nothing of use, since they need more than shifts, masks and `Mode::Mix`.
    plain: Vec<usize>,
}

/// Lanes of a register of 512 bits.
const LANES: usize = 8;

type Words = [u64; LANES];

/// Up to so many windows, several Semantic IDs share a group. With four, measured, one at a time is faster again.
const SEVERAL: usize = 3;

/// For each lane, what its window needs. Surplus lanes are all zeros.
#[derive(Clone, Debug, Default)]
struct Group {
    shift: [u32; LANES],
    mask: Words,
    /// The upper word's part of a window of more than 64 bits, else 0.
    high_mask: Words,
    /// All ones where the window is that wide.
    wide: Words,
    /// All ones where the row is the bits themselves.
    exact: Words,
    salt: Words,
    /// The length of the pool; 0 where the row is exact, which makes the hashed part 0.
    pool: Words,
    /// The first row of the range or of the pool.
    first: Words,
}

impl Lanes {
    /// The lanes of these windows.
    pub(crate) fn new(grams: &[Gram], pool: (u64, u64)) -> Self {
        let copies = if grams.len() <= SEVERAL {
            LANES / grams.len()
        } else {
            1
        };
        let mut lanes = Self {
            grams: grams.len(),
            hashed: false,
            wide: false,
            exact: false,
            groups: vec![Group::default(); grams.len().div_ceil(LANES)],
            plain: Vec::new(),
        };
        for place in 0..copies * grams.len() {
            let usable = lanes.set(place, &grams[place % grams.len()], pool);
            if !usable && place < grams.len() {
                lanes.plain.push(place);
            }
        }
        lanes
    }

    /// The windows that [`Lanes::fill`] leaves to the plain loop.
    pub(crate) fn plain(&self) -> &[usize] {
        &self.plain
    }

    /// Sets the constants of one lane; returns whether lanes can do what this window needs.
    fn set(&mut self, place: usize, gram: &Gram, pool: (u64, u64)) -> bool {
        let (group, lane) = (&mut self.groups[place / LANES], place % LANES);
        group.shift[lane] = gram.shift;
        group.mask[lane] = gram.mask as u64;
        match gram.way {
            Way::Exact(first) if !gram.mixed_radix => {
                self.exact = true;
                group.exact[lane] = u64::MAX;
                group.first[lane] = first;
                true
            }
            Way::Mix(salt) | Way::MixWide(salt) if pool.1 <= 1 << 32 => {
                self.hashed = true;
                let wide = matches!(gram.way, Way::MixWide(_));
                self.wide |= wide;
                group.wide[lane] = if wide { u64::MAX } else { 0 };
                group.high_mask[lane] = (gram.mask >> 64) as u64;
                group.salt[lane] = salt;
                (group.first[lane], group.pool[lane]) = pool;
                true
            }
            _ => false,
        }
    }

    /// Fills the rows of most of `keys`, from the first on, and returns of how many.
    pub(crate) fn fill<K: Key>(&self, keys: &[K], out: &mut [i64]) -> usize {
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            // SAFETY: the features that `fill_avx512` asks for were detected.
            return unsafe { self.fill_avx512(keys, out) };
        }
        self.fill_any(keys, out)
    }

    // The same loops, compiled for registers that multiply eight 64-bit numbers at once.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
    fn fill_avx512<K: Key>(&self, keys: &[K], out: &mut [i64]) -> usize {
        self.fill_any(keys, out)
    }

    #[inline(always)]
    fn fill_any<K: Key>(&self, keys: &[K], out: &mut [i64]) -> usize {
        match (self.hashed, self.wide, self.exact) {
            (false, _, _) => self.fill_as::<K, false, false, true>(keys, out),
            (true, false, false) => self.fill_as::<K, true, false, false>(keys, out),
            (true, false, true) => self.fill_as::<K, true, false, true>(keys, out),
            (true, true, _) => self.fill_as::<K, true, true, true>(keys, out),
        }
    }

    #[inline(always)]
    fn fill_as<K: Key, const HASHED: bool, const WIDE: bool, const EXACT: bool>(
        &self,
        keys: &[K],
        out: &mut [i64],
    ) -> usize {
        match (self.grams, self.groups.as_slice()) {
            (1, [group]) => fill_several::<K, HASHED, WIDE, EXACT, 1>(group, keys, out),
            (2, [group]) => fill_several::<K, HASHED, WIDE, EXACT, 2>(group, keys, out),
            (3, [group]) => fill_several::<K, HASHED, WIDE, EXACT, 3>(group, keys, out),
            (grams, groups) => fill_single::<K, HASHED, WIDE, EXACT>(groups, grams, keys, out),
        }
    }
}

/// Several Semantic IDs of `GRAMS` windows at once, in the lanes of one group.
#[inline(always)]
fn fill_several<K: Key, const HASHED: bool, const WIDE: bool, const EXACT: bool, const GRAMS: usize>(
    group: &Group,
    keys: &[K],
    out: &mut [i64],
) -> usize {
    // By value, so that the constants stay in registers.
    let group = group.clone();
    let at_once = LANES / GRAMS;
    let mut filled = 0;
    for keys in keys.chunks_exact(at_once) {
        let Some(out) = out[filled * GRAMS..].first_chunk_mut() else {
            break;
        };
        group.rows::<K, HASHED, WIDE, EXACT>(spread::<K, GRAMS>(keys), out);
        filled += at_once;
    }
    filled
}

/// Each of `8 / GRAMS` keys in `GRAMS` neighbouring lanes; the last one in the surplus lanes too.
///
/// Spelled out, since from index arithmetic a compiler makes loads of single lanes, which are slow.
#[inline(always)]
fn spread<K: Key, const GRAMS: usize>(k: &[K]) -> [K; LANES] {
    match (GRAMS, k) {
        (1, &[a, b, c, d, e, f, g, h]) => [a, b, c, d, e, f, g, h],
        (2, &[a, b, c, d]) => [a, a, b, b, c, c, d, d],
        (3, &[a, b]) => [a, a, a, b, b, b, b, b],
        _ => unreachable!("called for 1 to 3 windows with all the keys that fit"),
    }
}

/// One Semantic ID after the other, each group of its windows at once.
#[inline(always)]
fn fill_single<K: Key, const HASHED: bool, const WIDE: bool, const EXACT: bool>(
    groups: &[Group],
    grams: usize,
    keys: &[K],
    out: &mut [i64],
) -> usize {
    for (filled, &key) in keys.iter().enumerate() {
        let out = out[filled * grams..].as_chunks_mut().0;
        if out.len() < groups.len() {
            return filled;
        }
        for (group, out) in groups.iter().zip(out) {
            group.rows::<K, HASHED, WIDE, EXACT>([key; LANES], out);
        }
    }
    keys.len()
}

impl Group {
    // Step by step over whole arrays: each step is then a handful of vector instructions.
    #[inline(always)]
    fn rows<K: Key, const HASHED: bool, const WIDE: bool, const EXACT: bool>(
        &self,
        keys: [K; LANES],
        out: &mut [i64; LANES],
    ) {
        let low: Words = array::from_fn(|lane| keys[lane].bits_from(self.shift[lane]) & self.mask[lane]);
        let mut rows = self.first;
        if EXACT {
            rows = array::from_fn(|lane| rows[lane] + (low[lane] & self.exact[lane]));
        }
        if HASHED {
            let inner = if WIDE { self.high_part(keys) } else { self.salt };
            let hash: Words = array::from_fn(|lane| mix64(low[lane] ^ inner[lane]));
            rows = array::from_fn(|lane| rows[lane] + multiply_high_32(hash[lane], self.pool[lane]));
        }
        *out = rows.map(u64::cast_signed);
    }

    /// The number to mix low words with: the salt, into which wide windows have mixed their high words.
    #[inline(always)]
    fn high_part<K: Key>(&self, keys: [K; LANES]) -> Words {
        // A window of more than 64 bits begins below bit 64, so its upper part is within the high word.
        let high: Words = array::from_fn(|lane| (keys[lane].to_u128() >> 64) as u64);
        let high: Words =
            array::from_fn(|lane| high[lane].unbounded_shr(self.shift[lane]) & self.high_mask[lane]);
        let mixed: Words = array::from_fn(|lane| mix64(high[lane] ^ self.salt[lane]));
        array::from_fn(|lane| (mixed[lane] & self.wide[lane]) | (self.salt[lane] & !self.wide[lane]))
    }
}
