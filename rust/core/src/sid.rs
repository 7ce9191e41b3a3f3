//! Semantic IDs in one or two machine words.
//!
//! A level with `K` tokens takes `ceil(log2 K)` bits. The first level sits in the highest bits in use and the last
//! one ends at bit 0, so for one layout
//!
//! - comparing two keys as integers compares their tokens from left to right, and
//! - all keys that begin with the same tokens form one contiguous range.
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
    reason = "inlined code is compiled again for wider registers"
)]

use std::fmt;
use std::hash::Hash;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::pack::{self, Places};

/// The widest Semantic ID in bits.
pub const MAX_BITS: u32 = 128;

/// The most levels a layout may have. Levels of one token take no bits, so the width alone does not bound them.
pub const MAX_LEVELS: usize = 128;

/// A packed Semantic ID: `u64` for layouts of up to 64 bits, `[u64; 2]` (high word first) for wider ones.
pub trait Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// Number of 64-bit words the key takes.
    const WORDS: usize;

    /// The key as an integer.
    fn to_u128(self) -> u128;

    /// The key with the lowest `64 * WORDS` bits of `bits`.
    fn from_u128(bits: u128) -> Self;

    /// The lowest 64 bits of the key from `shift` on, which is below `64 * WORDS`.
    fn bits_from(self, shift: u32) -> u64;

    /// The key of `tokens`, each at its place. Nothing is checked.
    fn gather(tokens: &[u16], places: Places<'_>) -> Self;

    /// The tokens of the key, each from its place.
    fn scatter(self, tokens: &mut [u16], places: Places<'_>);
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
    fn gather(tokens: &[u16], places: Places<'_>) -> Self {
        let placed = tokens.iter().zip(places.shifts);
        placed.fold(0, |key, (&token, &shift)| key | u64::from(token) << (shift % 64))
    }

    #[inline(always)]
    fn scatter(self, tokens: &mut [u16], places: Places<'_>) {
        for ((token, &shift), &mask) in tokens.iter_mut().zip(places.shifts).zip(places.masks) {
            *token = (self >> (shift % 64)) as u16 & mask;
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
    fn gather(tokens: &[u16], places: Places<'_>) -> Self {
        let (mut high, mut low) = (0, 0);
        for (&token, &shift) in tokens.iter().zip(places.shifts) {
            let token = u64::from(token);
            let (beyond, short) = (shift.wrapping_sub(64), 64_u32.wrapping_sub(shift));
            low |= token.unbounded_shl(shift);
            high |= token.unbounded_shl(beyond) | token.unbounded_shr(short);
        }
        [high, low]
    }

    #[inline(always)]
    fn scatter(self, tokens: &mut [u16], places: Places<'_>) {
        for ((token, &shift), &mask) in tokens.iter_mut().zip(places.shifts).zip(places.masks) {
            *token = self.bits_from(shift) as u16 & mask;
        }
    }
}

/// Sizes of the levels of a Semantic ID, and the place of each token in a packed one.
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
    /// Creates the layout of levels with these numbers of tokens.
    ///
    /// # Errors
    /// [`Error::LevelCount`] unless there are 1 to [`MAX_LEVELS`] levels, [`Error::LevelSize`] if a level has no
    /// tokens or more than 65536, [`Error::TooWide`] if all together they take more than [`MAX_BITS`] bits.
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

    /// Number of tokens of each level.
    #[must_use]
    pub fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// Number of bits each level takes.
    #[must_use]
    pub fn bits(&self) -> &[u32] {
        &self.bits
    }

    /// Number of bits a whole Semantic ID takes.
    #[must_use]
    pub fn total_bits(&self) -> u32 {
        self.total_bits
    }

    /// Number of 64-bit words a packed Semantic ID takes: 1 or 2.
    #[must_use]
    pub fn words(&self) -> usize {
        if self.total_bits() <= 64 { 1 } else { 2 }
    }

    /// Number of levels a Semantic ID has.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.sizes.len()
    }

    /// Number of bits the levels from `depth` on take: the free bits under a prefix of `depth` tokens.
    ///
    /// # Panics
    /// If `depth` is more than the number of levels.
    #[must_use]
    pub fn bits_below(&self, depth: usize) -> u32 {
        self.bits[depth..].iter().sum()
    }

    /// The token of `key` at `level`.
    ///
    /// # Panics
    /// If there is no such level.
    #[must_use]
    pub fn token<K: Key>(&self, key: K, level: usize) -> u16 {
        key.bits_from(self.shifts[level]) as u16 & self.masks[level]
    }

    /// Packs one Semantic ID of any width.
    ///
    /// # Errors
    /// As [`SidLayout::pack`].
    pub fn pack_one(&self, tokens: &[u16]) -> Result<u128> {
        check_length("tokens", self.levels(), tokens.len())?;
        self.check_tokens(0, tokens)?;
        Ok(self.gather(tokens))
    }

    /// Packs rows of `levels` tokens each: `codes` (n, levels) row by row, `out` (n).
    ///
    /// # Errors
    /// [`Error::Length`] if `codes` does not hold `levels` tokens for each key of `out`, [`Error::KeyWords`] for the
    /// wrong type of key, [`Error::TokenRange`] for a token that its level does not have; `out` is then half filled.
    pub fn pack<K: Key>(&self, codes: &[u16], out: &mut [K]) -> Result<()> {
        self.check_key::<K>()?;
        check_length("tokens", out.len() * self.levels(), codes.len())?;
        if pack::pack(codes, self.places(), out) {
            return Ok(());
        }
        let rows = codes.chunks_exact(self.levels()).enumerate();
        rows.into_iter()
            .try_for_each(|(row, tokens)| self.check_tokens(row, tokens))
    }

    /// Unpacks keys into rows of tokens: `keys` (n), `out` (n, levels).
    ///
    /// # Errors
    /// [`Error::Length`] if `out` does not hold `levels` tokens for each key, [`Error::KeyWords`] for the wrong type
    /// of key, [`Error::KeyRange`] for a key with bits beyond the layout's and [`Error::TokenRange`] for one with a
    /// token that its level does not have; `out` is then half filled.
    pub fn unpack<K: Key>(&self, keys: &[K], out: &mut [u16]) -> Result<()> {
        self.check_key::<K>()?;
        check_length("out", keys.len() * self.levels(), out.len())?;
        self.check_widths(keys)?;
        if pack::unpack(keys, self.places(), out) {
            return Ok(());
        }
        let rows = out.chunks_exact(self.levels()).enumerate();
        rows.into_iter()
            .try_for_each(|(row, tokens)| self.check_tokens(row, tokens))
    }

    /// Checks that `keys` are Semantic IDs of this layout.
    ///
    /// # Errors
    /// [`Error::KeyWords`], [`Error::KeyRange`], [`Error::TokenRange`] as [`SidLayout::unpack`].
    pub fn check<K: Key>(&self, keys: &[K]) -> Result<()> {
        self.check_key::<K>()?;
        self.check_widths(keys)?;
        // A level of a power of two has a token for every token that its bits can hold.
        let partial: Vec<usize> = (0..self.levels())
            .filter(|&level| self.highest[level] < self.masks[level])
            .collect();
        for (row, &key) in keys.iter().enumerate() {
            if let Some(&level) = partial
                .iter()
                .find(|&&level| self.token(key, level) > self.highest[level])
            {
                return Err(self.token_error(row, level, self.token(key, level)));
            }
            if partial.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The first and the last key that begin with `tokens`. No tokens at all gives the range of all keys.
    ///
    /// # Errors
    /// [`Error::Depth`] for more tokens than levels, [`Error::TokenRange`] for a token that its level does not have.
    pub fn prefix_range(&self, tokens: &[u16]) -> Result<RangeInclusive<u128>> {
        self.check_depth(tokens.len())?;
        self.check_tokens(0, tokens)?;
        let first = self.gather(tokens);
        Ok(first..=first | low_bits(self.bits_below(tokens.len())))
    }

    /// Cuts keys down to their first `depth` tokens: the tokens below become 0, so that what comes out is the first
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

    /// Number of leading tokens two keys share, row by row: `a` (n), `b` (n), `out` (n).
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

    /// The integer of the first tokens, with zeros below.
    fn gather(&self, tokens: &[u16]) -> u128 {
        let placed = tokens.iter().zip(&self.shifts);
        placed.fold(0, |key, (&token, &shift)| key | u128::from(token) << shift)
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

    fn check_tokens(&self, row: usize, tokens: &[u16]) -> Result<()> {
        match tokens
            .iter()
            .zip(&self.highest)
            .position(|(token, highest)| token > highest)
        {
            None => Ok(()),
            Some(level) => Err(self.token_error(row, level, tokens[level])),
        }
    }

    fn token_error(&self, row: usize, level: usize, token: u16) -> Error {
        Error::TokenRange {
            row,
            level,
            token: token.into(),
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

/// The tokens of one Semantic ID, written `12-200-7-0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(Box<[u16]>);

impl Sid {
    /// The Semantic ID of these tokens.
    #[must_use]
    pub fn new(tokens: &[u16]) -> Self {
        Self(tokens.into())
    }

    /// Its tokens, one a level.
    #[must_use]
    pub fn tokens(&self) -> &[u16] {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, token) in self.0.iter().enumerate() {
            write!(f, "{}{token}", if level == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

impl FromStr for Sid {
    type Err = Error;

    /// Reads the one text that [`Sid`]'s `Display` writes: decimal tokens without sign, space or leading zeros.
    fn from_str(text: &str) -> Result<Self> {
        let token = |part: &str| match part.as_bytes() {
            [b'0'] => Some(0),
            [b'1'..=b'9', ..] => part.parse().ok(),
            _ => None,
        };
        let tokens: Option<Box<[u16]>> = text.split('-').map(token).collect();
        tokens.map(Self).ok_or_else(|| Error::SidText {
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
