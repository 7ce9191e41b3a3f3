//! Semantic IDs in one or two machine words.
//!
//! A level with `K` codes takes `ceil(log2 K)` bits. The first level sits in the highest bits in use and the last
//! one ends at bit 0, so for one layout
//!
//! - comparing two keys as integers compares their digits from left to right, and
//! - all keys that begin with the same digits form one contiguous range.
//!
//! Up to 64 bits fit a `u64`. Wider layouts, up to 128 bits, take `[u64; 2]`, high word first, whose derived order is
//! again the order of the integers.
//!
//! ```
//! use sidkit_core::SidLayout;
//!
//! let layout = SidLayout::new(&[256, 256, 256, 8])?;
//! assert_eq!(layout.bits(), [8, 8, 8, 3]);
//! assert_eq!(layout.pack_one(&[12, 200, 7, 0])?, ((12 << 8 | 200) << 8 | 7) << 3);
//! let under = layout.prefix_range(&[12, 200])?;
//! assert!(under.contains(&layout.pack_one(&[12, 200, 7, 0])?));
//! # Ok::<(), sidkit_core::Error>(())
//! ```

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled anew for wider registers"
)]

use std::fmt;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::pack::{self, Places};

/// The widest Semantic ID in bits.
pub const MAX_BITS: u32 = 128;

/// The most levels a layout may have. Levels of one code take no bits, so the width alone does not bound them.
pub const MAX_LEVELS: usize = 128;

/// A packed Semantic ID: `u64` for layouts of up to 64 bits, `[u64; 2]` (high word first) for wider ones.
pub trait Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// How many 64-bit words the key takes.
    const WORDS: usize;

    /// The key as an integer.
    fn to_u128(self) -> u128;

    /// The key with the lowest `64 * WORDS` bits of `bits`.
    fn from_u128(bits: u128) -> Self;

    /// The lowest 64 bits of the key from `shift` on, which is below `64 * WORDS`.
    fn bits_from(self, shift: u32) -> u64;

    /// The key of `digits`, each at its place. Nothing is checked.
    fn gather(digits: &[u16], places: Places<'_>) -> Self;

    /// The digits of the key, each from its place.
    fn scatter(self, digits: &mut [u16], places: Places<'_>);
}

impl Key for u64 {
    const WORDS: usize = 1;

    fn to_u128(self) -> u128 {
        self.into()
    }

    fn from_u128(bits: u128) -> Self {
        bits as u64
    }

    #[inline]
    fn bits_from(self, shift: u32) -> u64 {
        self >> shift
    }

    #[inline(always)]
    fn gather(digits: &[u16], places: Places<'_>) -> Self {
        let placed = digits.iter().zip(places.shifts);
        placed.fold(0, |key, (&digit, &shift)| key | u64::from(digit) << (shift % 64))
    }

    #[inline(always)]
    fn scatter(self, digits: &mut [u16], places: Places<'_>) {
        for ((digit, &shift), &mask) in digits.iter_mut().zip(places.shifts).zip(places.masks) {
            *digit = (self >> (shift % 64)) as u16 & mask;
        }
    }
}

impl Key for [u64; 2] {
    const WORDS: usize = 2;

    fn to_u128(self) -> u128 {
        u128::from(self[0]) << 64 | u128::from(self[1])
    }

    fn from_u128(bits: u128) -> Self {
        [(bits >> 64) as u64, bits as u64]
    }

    // Of the three shifts the one or two that do not concern a word shift everything out.
    #[inline(always)]
    fn bits_from(self, shift: u32) -> u64 {
        let [high, low] = self;
        let (beyond, short) = (shift.wrapping_sub(64), 64_u32.wrapping_sub(shift));
        low.unbounded_shr(shift) | high.unbounded_shl(short) | high.unbounded_shr(beyond)
    }

    #[inline(always)]
    fn gather(digits: &[u16], places: Places<'_>) -> Self {
        let (mut high, mut low) = (0, 0);
        for (&digit, &shift) in digits.iter().zip(places.shifts) {
            let digit = u64::from(digit);
            let (beyond, short) = (shift.wrapping_sub(64), 64_u32.wrapping_sub(shift));
            low |= digit.unbounded_shl(shift);
            high |= digit.unbounded_shl(beyond) | digit.unbounded_shr(short);
        }
        [high, low]
    }

    #[inline(always)]
    fn scatter(self, digits: &mut [u16], places: Places<'_>) {
        for ((digit, &shift), &mask) in digits.iter_mut().zip(places.shifts).zip(places.masks) {
            *digit = self.bits_from(shift) as u16 & mask;
        }
    }
}

/// How many codes each level has, and so where each digit sits in a packed Semantic ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SidLayout {
    /// Codes per level, each in `1..=65536`.
    sizes: Box<[u32]>,
    /// `ceil(log2 size)` of each level; their sum is at most [`MAX_BITS`].
    bits: Box<[u32]>,
    /// The position of each level's lowest bit; 0 for a level without bits, so that no shift reaches the word's width.
    shifts: Box<[u32]>,
    /// `2^bits - 1` of each level.
    masks: Box<[u16]>,
    /// `size - 1` of each level.
    highest: Box<[u16]>,
    /// The sum of `bits`, asked for too often to be added up each time.
    total_bits: u32,
}

impl SidLayout {
    /// The layout of levels with so many codes each.
    ///
    /// # Errors
    /// [`Error::LevelCount`] unless there are 1 to [`MAX_LEVELS`] levels, [`Error::LevelSize`] if a level has no
    /// codes or more than 65536, [`Error::TooWide`] if all together they take more than [`MAX_BITS`] bits.
    pub fn new(sizes: &[u32]) -> Result<Self> {
        if sizes.is_empty() || sizes.len() > MAX_LEVELS {
            return Err(Error::LevelCount { got: sizes.len() });
        }
        if let Some(level) = sizes.iter().position(|size| !(1..=65536).contains(size)) {
            return Err(Error::LevelSize {
                level,
                got: sizes[level].into(),
            });
        }
        let bits: Box<[u32]> = sizes
            .iter()
            .map(|size| (size - 1).checked_ilog2().map_or(0, |log| log + 1))
            .collect();
        let total = bits.iter().sum();
        if total > MAX_BITS {
            return Err(Error::TooWide { bits: total });
        }
        let mut below = total;
        let shifts = bits.iter().map(|&bits| {
            below -= bits;
            if bits == 0 { 0 } else { below }
        });
        let shifts = shifts.collect();
        let masks = bits.iter().map(|&bits| ((1_u32 << bits) - 1) as u16).collect();
        let highest = sizes.iter().map(|size| (size - 1) as u16).collect();
        Ok(Self {
            sizes: sizes.into(),
            bits,
            shifts,
            masks,
            highest,
            total_bits: total,
        })
    }

    /// How many codes each level has.
    #[must_use]
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// How many bits each level takes.
    #[must_use]
    pub fn bits(&self) -> &[u32] {
        &self.bits
    }

    /// How many bits a whole Semantic ID takes.
    #[must_use]
    pub fn total_bits(&self) -> u32 {
        self.total_bits
    }

    /// How many 64-bit words a packed Semantic ID takes: 1 or 2.
    #[must_use]
    pub fn words(&self) -> usize {
        if self.total_bits() <= 64 { 1 } else { 2 }
    }

    /// How many levels a Semantic ID has.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.sizes.len()
    }

    /// How many bits the levels from `depth` on take: the free bits under a prefix of `depth` digits.
    ///
    /// # Panics
    /// If `depth` is more than the number of levels.
    #[must_use]
    pub fn bits_below(&self, depth: usize) -> u32 {
        self.bits[depth..].iter().sum()
    }

    /// The digit of `key` at `level`.
    ///
    /// # Panics
    /// If there is no such level.
    #[must_use]
    pub fn digit<K: Key>(&self, key: K, level: usize) -> u16 {
        key.bits_from(self.shifts[level]) as u16 & self.masks[level]
    }

    /// Packs one Semantic ID of any width.
    ///
    /// # Errors
    /// As [`SidLayout::pack`].
    pub fn pack_one(&self, digits: &[u16]) -> Result<u128> {
        check_length("digits", self.levels(), digits.len())?;
        self.check_digits(0, digits)?;
        Ok(self.gather(digits))
    }

    /// Packs rows of `levels` digits each: `codes` (n, levels) row by row, `out` (n).
    ///
    /// # Errors
    /// [`Error::Length`] if `codes` does not hold `levels` digits for each key of `out`, [`Error::KeyWords`] for the
    /// wrong type of key, [`Error::DigitRange`] for a digit that its level does not have; `out` is then half filled.
    pub fn pack<K: Key>(&self, codes: &[u16], out: &mut [K]) -> Result<()> {
        self.check_key::<K>()?;
        check_length("codes", out.len() * self.levels(), codes.len())?;
        if pack::pack(codes, self.places(), out) {
            return Ok(());
        }
        let rows = codes.chunks_exact(self.levels()).enumerate();
        rows.into_iter()
            .try_for_each(|(row, digits)| self.check_digits(row, digits))
    }

    /// Unpacks keys into rows of digits: `keys` (n), `out` (n, levels).
    ///
    /// # Errors
    /// [`Error::Length`] if `out` does not hold `levels` digits for each key, [`Error::KeyWords`] for the wrong type
    /// of key, [`Error::KeyRange`] for a key with bits beyond the layout's and [`Error::DigitRange`] for one with a
    /// digit that its level does not have; `out` is then half filled.
    pub fn unpack<K: Key>(&self, keys: &[K], out: &mut [u16]) -> Result<()> {
        self.check_key::<K>()?;
        check_length("out", keys.len() * self.levels(), out.len())?;
        self.check_widths(keys)?;
        if pack::unpack(keys, self.places(), out) {
            return Ok(());
        }
        let rows = out.chunks_exact(self.levels()).enumerate();
        rows.into_iter()
            .try_for_each(|(row, digits)| self.check_digits(row, digits))
    }

    /// Checks that `keys` are Semantic IDs of this layout.
    ///
    /// # Errors
    /// [`Error::KeyWords`], [`Error::KeyRange`], [`Error::DigitRange`] as [`SidLayout::unpack`].
    pub fn check<K: Key>(&self, keys: &[K]) -> Result<()> {
        self.check_key::<K>()?;
        self.check_widths(keys)?;
        // A level of a power of two has a code for every digit that its bits can hold.
        let partial: Vec<usize> = (0..self.levels())
            .filter(|&level| self.highest[level] < self.masks[level])
            .collect();
        for (row, &key) in keys.iter().enumerate() {
            if let Some(&level) = partial
                .iter()
                .find(|&&level| self.digit(key, level) > self.highest[level])
            {
                return Err(self.digit_error(row, level, self.digit(key, level)));
            }
            if partial.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The first and the last key that begin with `digits`. No digits at all gives the range of all keys.
    ///
    /// # Errors
    /// [`Error::Depth`] for more digits than levels, [`Error::DigitRange`] for a digit that its level does not have.
    pub fn prefix_range(&self, digits: &[u16]) -> Result<RangeInclusive<u128>> {
        self.check_depth(digits.len())?;
        self.check_digits(0, digits)?;
        let first = self.gather(digits);
        Ok(first..=first | low_bits(self.bits_below(digits.len())))
    }

    /// Cuts keys down to their first `depth` digits: the digits below become 0, so that what comes out is the first
    /// key of the prefix's range.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::KeyWords`], [`Error::KeyRange`] as [`SidLayout::unpack`], [`Error::Depth`] if
    /// `depth` is more than the number of levels.
    pub fn prefix<K: Key>(&self, keys: &[K], depth: usize, out: &mut [K]) -> Result<()> {
        self.check_key::<K>()?;
        self.check_depth(depth)?;
        check_length("out", keys.len(), out.len())?;
        let free = low_bits(self.bits_below(depth));
        self.check_widths(keys)?;
        for (&key, out) in keys.iter().zip(out) {
            *out = K::from_u128(key.to_u128() & !free);
        }
        Ok(())
    }

    /// How many leading digits two keys share, row by row: `a` (n), `b` (n), `out` (n).
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::KeyWords`], [`Error::KeyRange`] as [`SidLayout::unpack`].
    pub fn common_prefix_length<K: Key>(&self, a: &[K], b: &[K], out: &mut [u8]) -> Result<()> {
        self.check_key::<K>()?;
        check_length("b", a.len(), b.len())?;
        check_length("out", a.len(), out.len())?;
        self.check_widths(a)?;
        self.check_widths(b)?;
        let mut length = [self.levels() as u8; 129];
        for level in (0..self.levels()).rev() {
            // The keys first differ in this level if the bits in which they differ reach this high.
            length[self.bits_below(level + 1) as usize + 1..=self.bits_below(level) as usize]
                .fill(level as u8);
        }
        for ((&a, &b), out) in a.iter().zip(b).zip(out) {
            let differing = 128 - (a.to_u128() ^ b.to_u128()).leading_zeros();
            *out = length[differing as usize];
        }
        Ok(())
    }

    fn places(&self) -> Places<'_> {
        Places {
            shifts: &self.shifts,
            masks: &self.masks,
            highest: &self.highest,
        }
    }

    /// The integer of the first digits, with zeros below.
    fn gather(&self, digits: &[u16]) -> u128 {
        let placed = digits.iter().zip(&self.shifts);
        placed.fold(0, |key, (&digit, &shift)| key | u128::from(digit) << shift)
    }

    fn check_key<K: Key>(&self) -> Result<()> {
        if K::WORDS == self.words() {
            Ok(())
        } else {
            Err(Error::KeyWords {
                expected: self.words(),
                got: K::WORDS,
            })
        }
    }

    fn check_depth(&self, depth: usize) -> Result<()> {
        if depth <= self.levels() {
            Ok(())
        } else {
            Err(Error::Depth {
                levels: self.levels(),
                got: depth,
            })
        }
    }

    fn check_digits(&self, row: usize, digits: &[u16]) -> Result<()> {
        match digits
            .iter()
            .zip(&self.highest)
            .position(|(digit, highest)| digit > highest)
        {
            None => Ok(()),
            Some(level) => Err(self.digit_error(row, level, digits[level])),
        }
    }

    fn digit_error(&self, row: usize, level: usize, digit: u16) -> Error {
        Error::DigitRange {
            row,
            level,
            digit: digit.into(),
            size: self.sizes[level],
        }
    }

    fn check_widths<K: Key>(&self, keys: &[K]) -> Result<()> {
        let bits = self.total_bits;
        let beyond = !low_bits(bits);
        if keys.iter().fold(0, |seen, key| seen | key.to_u128()) & beyond == 0 {
            return Ok(());
        }
        let row = keys
            .iter()
            .position(|key| key.to_u128() & beyond != 0)
            .unwrap_or(0);
        Err(Error::KeyRange { row, bits })
    }
}

/// The digits of one Semantic ID, written `12-200-7-0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Box<[u16]>);

impl Sid {
    /// The Semantic ID of these digits.
    #[must_use]
    pub fn new(digits: &[u16]) -> Self {
        Self(digits.into())
    }

    /// Its digits, one a level.
    #[must_use]
    pub fn digits(&self) -> &[u16] {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, digit) in self.0.iter().enumerate() {
            write!(f, "{}{digit}", if level == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

impl FromStr for Sid {
    type Err = Error;

    /// Reads the one text that [`Sid`]'s `Display` writes: decimal digits without sign, space or leading zeros.
    fn from_str(text: &str) -> Result<Self> {
        let digit = |part: &str| match part.as_bytes() {
            [b'0'] => Some(0),
            [b'1'..=b'9', ..] => part.parse().ok(),
            _ => None,
        };
        let digits: Option<Box<[u16]>> = text.split('-').map(digit).collect();
        digits.map(Self).ok_or_else(|| Error::SidText {
            text: text.chars().take(80).collect(),
        })
    }
}

/// The lowest `count` bits, for 0 to 128.
fn low_bits(count: u32) -> u128 {
    u128::MAX.checked_shr(128 - count).unwrap_or(0)
}

fn check_length(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Length { what, expected, got })
    }
}
