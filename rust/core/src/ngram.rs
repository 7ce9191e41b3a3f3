//! Rows of an embedding table for the n-grams of Semantic IDs.
//!
//! A ranking model embeds an item as the sum of one learned vector for each n-gram of its Semantic ID (Singh et al.,
//! arXiv 2306.08121; prefixes as n-grams: Zheng et al., arXiv 2504.02137). [`Ngrams`] says which vector: it maps
//! every [`Window`] of tokens to a row of **one** table of `rows` rows, so that an embedding bag over the row numbers
//! is all a model needs.
//!
//! # How the table is divided
//!
//! The windows are taken from the one with the fewest possible n-grams to the one with the most. As long as a window
//! has no more n-grams than an equal share of the rows that are left, it gets a range of its own, one row for each
//! n-gram, without any collision. The windows that are left share the remaining rows, the *pool*, through a hash.
//! The ranges lie in the order of the windows, the pool behind them.
//!
//! With 4 levels of 256 codes and a million rows, the prefixes of length 1 and 2 get rows 0 to 255 and 256 to 65791;
//! those of length 3 and 4 (16 million and 4 billion possible) are hashed onto the rows from 65792 on.
//!
//! # Version 1 of the hash
//!
//! The bits of the n-gram as they lie in the packed Semantic ID are a number `w`. The window has a salt that depends
//! on the seed, its start and its length only. Up to 64 bits, `hash = mix64(w ^ salt)`; wider,
//! `hash = mix64(mix64(high ^ salt) ^ low)` of the two words. The row is `multiply_high(hash, pool)` behind the
//! ranges. See [`crate::hash`]. None of this will ever change under the name [`Mode::Mix`].

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::{mix64, multiply_high, murmur3_8, murmur3_16};
use crate::lanes::Lanes;
use crate::pool;
use crate::sid::{Key, SidLayout};

/// Number of SIDs a thread takes at a time: enough to outweigh the handover.
const BLOCK: usize = 16_384;

/// A run of neighbouring levels: the n-gram of a Semantic ID is its tokens at these levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first level.
    pub start: usize,
    /// Number of levels.
    pub length: usize,
}

/// Named sets of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// All windows of so many levels, from the left: `Ngram(2)` are the bigrams.
    Ngram(usize),
    /// All windows of all lengths, the short ones first.
    All,
    /// The windows that start at the first level, the short ones first.
    Prefix,
}

impl Kind {
    /// The windows of this kind in a Semantic ID of so many levels.
    ///
    /// # Errors
    /// [`Error::Depth`] for n-grams of more tokens than levels.
    pub fn windows(self, levels: usize) -> Result<Vec<Window>> {
        let of_length = |length: usize| (0..=levels - length).map(move |start| Window { start, length });
        match self {
            Self::Ngram(length) if length == 0 || length > levels => {
                Err(Error::Depth { levels, got: length })
            }
            Self::Ngram(length) => Ok(of_length(length).collect()),
            Self::All => Ok((1..=levels).flat_map(of_length).collect()),
            Self::Prefix => Ok((1..=levels).map(|length| Window { start: 0, length }).collect()),
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    /// Reads `unigram`, `bigram`, `trigram`, `4gram`, `5gram` and so on, `all` or `prefix`.
    fn from_str(name: &str) -> Result<Self> {
        let length = match name {
            "all" => return Ok(Self::All),
            "prefix" => return Ok(Self::Prefix),
            "unigram" => Some(1),
            "bigram" => Some(2),
            "trigram" => Some(3),
            _ => name.strip_suffix("gram").and_then(|tokens| tokens.parse().ok()),
        };
        length.map(Self::Ngram).ok_or_else(|| Error::GramKind {
            got: name.chars().take(80).collect(),
        })
    }
}

/// Hash of n-grams without their own row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Version 1 of the hash, as the module describes it. Use this one.
    Mix,
    /// The n-gram as a mixed-radix number, shifted by how many n-grams the hashed windows before it may show, modulo
    /// the pool. Depends on no seed. Neighbouring tokens stay neighbours, and whole windows may coincide.
    Modulo,
    /// `MurmurHash3_x64_128` (first half) of the n-gram's bits as 8 little-endian bytes, 16 if they are more than
    /// 64, modulo the pool. Its seed is the low half of the seed plus the window's place among the windows.
    Murmur3,
}

/// The map from Semantic IDs to the rows of their n-grams in one table.
#[derive(Clone, Debug)]
pub struct Ngrams {
    layout: SidLayout,
    grams: Vec<Gram>,
    rows: u64,
    /// The first row of the pool and its length, which is 0 only if every window has a range of its own.
    pool: (u64, u64),
    /// The same for many windows at once.
    lanes: Lanes,
}

/// Constants that map one window to a row.
#[derive(Clone, Debug)]
pub(crate) struct Gram {
    window: Window,
    /// Where the window's lowest bit lies in the packed Semantic ID.
    pub(crate) shift: u32,
    /// As many ones as the window has bits.
    pub(crate) mask: u128,
    /// True if the mixed-radix number is not simply the packed bits: a level but the first is no power of two.
    pub(crate) mixed_radix: bool,
    pub(crate) way: Way,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// The range begins at this row.
    Exact(u64),
    /// Salted with this number.
    Mix(u64),
    /// As `Mix`, for a window of more than 64 bits.
    MixWide(u64),
    /// Shifted by this number, which is below the pool's length.
    Modulo(u64),
    /// Seeded with this number.
    Murmur3(u32),
    /// As `Murmur3`, for a window of more than 64 bits.
    Murmur3Wide(u32),
}

impl Ngrams {
    /// Divides a table of `rows` rows between the n-grams that `windows` cut from Semantic IDs of this layout.
    ///
    /// # Errors
    /// [`Error::Rows`] unless `rows` is in `1..2^63`; [`Error::Window`] for a window that is empty or does not lie
    /// within the levels; [`Error::NoWindows`] if there are none.
    pub fn new(layout: SidLayout, windows: &[Window], rows: u64, seed: u64, mode: Mode) -> Result<Self> {
        if rows == 0 || rows > i64::MAX as u64 {
            return Err(Error::Rows { got: rows });
        }
        if windows.is_empty() {
            return Err(Error::NoWindows);
        }
        let levels = layout.levels();
        if let Some(wrong) = windows
            .iter()
            .find(|w| w.length == 0 || w.start.saturating_add(w.length) > levels)
        {
            return Err(Error::Window {
                start: wrong.start,
                length: wrong.length,
                levels,
            });
        }
        let spaces: Vec<u128> = windows.iter().map(|window| space(&layout, *window)).collect();
        let exact = share(&spaces, rows);
        // A range is no longer than the table, so neither cast nor sum can overflow.
        let ranges: u64 = spaces
            .iter()
            .zip(&exact)
            .filter(|(_, exact)| **exact)
            .map(|(space, _)| *space as u64)
            .sum();
        let pool = (ranges, rows - ranges);

        let (mut range, mut shift) = (0, 0);
        let mut grams = Vec::with_capacity(windows.len());
        for (place, &window) in windows.iter().enumerate() {
            let mut gram = Gram::new(&layout, window);
            if exact[place] {
                gram.way = Way::Exact(range);
                range += spaces[place] as u64;
            } else {
                gram.way = gram.hashed(place, seed, mode, shift);
                let length = u128::from(pool.1);
                shift = ((u128::from(shift) + spaces[place] % length) % length) as u64;
            }
            grams.push(gram);
        }
        let lanes = Lanes::new(&grams, pool);
        Ok(Self {
            layout,
            grams,
            rows,
            pool,
            lanes,
        })
    }

    /// Number of n-grams a Semantic ID has: the length of each row of the output.
    #[must_use]
    pub fn grams(&self) -> usize {
        self.grams.len()
    }

    /// The windows, in the order of the output.
    #[must_use]
    pub fn windows(&self) -> Vec<Window> {
        self.grams.iter().map(|gram| gram.window).collect()
    }

    /// For each window, whether each of its n-grams has a row of its own.
    #[must_use]
    pub fn exact(&self) -> Vec<bool> {
        self.grams
            .iter()
            .map(|gram| matches!(gram.way, Way::Exact(_)))
            .collect()
    }

    /// Number of rows the table has; every row number is below it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the rows of the n-grams of `keys` (n) into `out` (n, grams), on up to `threads` threads (0: all cores).
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another length; [`Error::KeyWords`], [`Error::KeyRange`], [`Error::TokenRange`]
    /// as [`SidLayout::unpack`]; `out` is then half filled.
    pub fn fill<K: Key>(&self, keys: &[K], out: &mut [i64], threads: usize) -> Result<()> {
        let expected = keys.len() * self.grams();
        if out.len() != expected {
            return Err(Error::Length {
                what: "out",
                expected,
                got: out.len(),
            });
        }
        self.layout.check(keys)?;
        let blocks = keys.chunks(BLOCK).zip(out.chunks_mut(BLOCK * self.grams()));
        let threads = if keys.len() <= BLOCK { 1 } else { threads };
        pool::for_each(threads, blocks, |(keys, out)| self.fill_block(keys, out));
        Ok(())
    }

    fn fill_block<K: Key>(&self, keys: &[K], out: &mut [i64]) {
        let grams = self.grams.len();
        let filled = if self.lanes.plain().len() == grams {
            0
        } else {
            self.lanes.fill(keys, out)
        };
        let (by_lanes, rest) = out.split_at_mut(filled * grams);
        for (&key, out) in keys.iter().zip(by_lanes.chunks_exact_mut(grams)) {
            for &place in self.lanes.plain() {
                out[place] = self.row(key, place);
            }
        }
        for (&key, out) in keys[filled..].iter().zip(rest.chunks_exact_mut(grams)) {
            for (place, row) in out.iter_mut().enumerate() {
                *row = self.row(key, place);
            }
        }
    }

    fn row<K: Key>(&self, key: K, place: usize) -> i64 {
        self.grams[place]
            .row(&self.layout, key.to_u128(), self.pool)
            .cast_signed()
    }
}

impl Gram {
    /// The window's place in the packed Semantic ID; its way is not decided yet.
    fn new(layout: &SidLayout, window: Window) -> Self {
        let end = window.start + window.length;
        let bits = layout.bits_below(window.start) - layout.bits_below(end);
        Self {
            window,
            // A window without bits may lie above bit 127; its mask is empty, so any shift does.
            shift: if bits == 0 { 0 } else { layout.bits_below(end) },
            mask: u128::MAX.checked_shr(128 - bits).unwrap_or(0),
            mixed_radix: layout.sizes()[window.start + 1..end]
                .iter()
                .any(|size| !size.is_power_of_two()),
            way: Way::Exact(0),
        }
    }

    fn hashed(&self, place: usize, seed: u64, mode: Mode, shift: u64) -> Way {
        let wide = self.mask > u128::from(u64::MAX);
        match mode {
            Mode::Mix if wide => Way::MixWide(salt(self.window, seed)),
            Mode::Mix => Way::Mix(salt(self.window, seed)),
            Mode::Modulo => Way::Modulo(shift),
            Mode::Murmur3 if wide => Way::Murmur3Wide((seed as u32).wrapping_add(place as u32)),
            Mode::Murmur3 => Way::Murmur3((seed as u32).wrapping_add(place as u32)),
        }
    }

    fn row(&self, layout: &SidLayout, key: u128, (base, length): (u64, u64)) -> u64 {
        let bits = (key >> self.shift) & self.mask;
        let in_pool = match self.way {
            Way::Exact(first) => return first + self.number(layout, bits) as u64,
            Way::Mix(salt) => multiply_high(mix64(bits as u64 ^ salt), length),
            Way::MixWide(salt) => {
                let high = mix64((bits >> 64) as u64 ^ salt);
                multiply_high(mix64(high ^ bits as u64), length)
            }
            Way::Modulo(shift) => {
                let length = u128::from(length);
                ((self.number(layout, bits) % length + u128::from(shift)) % length) as u64
            }
            Way::Murmur3(seed) => murmur3_8(bits as u64, seed) % length,
            Way::Murmur3Wide(seed) => murmur3_16(bits, seed) % length,
        };
        base + in_pool
    }

    /// The n-gram with these packed bits as a mixed-radix number, the first token most significant.
    fn number(&self, layout: &SidLayout, bits: u128) -> u128 {
        if !self.mixed_radix {
            return bits;
        }
        let Window { start, length } = self.window;
        (start..start + length).fold(0, |number, level| {
            let below = layout.bits_below(level + 1) - layout.bits_below(start + length);
            let token = bits.checked_shr(below).unwrap_or(0) & ((1 << layout.bits()[level]) - 1);
            number * u128::from(layout.sizes()[level]) + token
        })
    }
}

/// The salt of a window: neither the other windows nor the order of them matters.
fn salt(window: Window, seed: u64) -> u64 {
    // A layout has at most 128 levels, so start and length fit a byte each.
    mix64(mix64(seed).wrapping_add((window.start as u64) << 8 | window.length as u64))
}

/// Number of n-grams a window may show, or `u128::MAX` for the one larger count, 2^128.
fn space(layout: &SidLayout, window: Window) -> u128 {
    let sizes = &layout.sizes()[window.start..window.start + window.length];
    sizes
        .iter()
        .fold(1, |product: u128, &size| product.saturating_mul(size.into()))
}

/// Which windows get a range of their own in a table of `rows` rows.
fn share(spaces: &[u128], rows: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..spaces.len()).collect();
    order.sort_by_key(|&i| spaces[i]);
    let mut exact = vec![false; spaces.len()];
    let mut left = u128::from(rows);
    for (taken, &i) in order.iter().enumerate() {
        if spaces[i] > left / (spaces.len() - taken) as u128 {
            break;
        }
        exact[i] = true;
        left -= spaces[i];
    }
    exact
}
