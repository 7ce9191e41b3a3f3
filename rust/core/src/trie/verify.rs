//! Checks of what was read from a file: every invariant that the walk relies on.

use std::cmp::Ordering;

use super::bits::Bits;
use super::build::check_distinct;
use super::columns::{Column, Columns, Token, with_tokens};
use super::compact::Compact;
use super::format::damaged;
use super::keys::Keys;
use super::{Shelves, Trie};
use crate::error::Result;
use crate::guard::Steps;
use crate::sid::SidLayout;

impl Trie {
    /// Checks the content; the lengths of all arrays have been checked against the header.
    pub(super) fn verify(&self) -> Result<()> {
        match &self.keys {
            Keys::Fast(keys) => keys.verify(&self.layout)?,
            Keys::Compact(keys) => keys.verify(&self.layout)?,
        }
        self.shelves.verify(self.len())
    }
}

impl Bits {
    /// Checks that the counts are those of the bits.
    fn verify(&self) -> Result<()> {
        check(
            *self == Self::with_words(self.words.clone()),
            "the counts are not those of the bits",
        )
    }
}

impl Columns {
    fn verify(&self, layout: &SidLayout) -> Result<()> {
        let ascends = self.directory[0] == 0 && self.directory.is_sorted();
        check(
            ascends,
            "the directory does not ascend from 0 to the number of keys",
        )?;
        for (column, &size) in self.tail.iter().zip(&layout.sizes()[self.head()..]) {
            let most =
                with_tokens!(column, tokens => tokens.iter().map(|&token| u32::from(token.code())).max());
            check(
                most.is_none_or(|token| token < size),
                "a token is out of range for its level",
            )?;
        }
        let rest = layout.bits_below(self.head());
        let mut steps = Steps::default();
        for (slot, ends) in self
            .directory
            .windows(2)
            .enumerate()
            .filter(|(_, ends)| ends[0] < ends[1])
        {
            steps.step();
            let head = (slot as u128).checked_shl(rest).unwrap_or(0);
            check(
                exists(layout, head, self.head()),
                "a key begins with a token that its level does not have",
            )?;
            let mut within = ends[0] as usize + 1..ends[1] as usize;
            check(
                within.all(|position| self.compare(position - 1, position).is_lt()),
                "the keys do not ascend",
            )?;
        }
        check(
            self.fans == self.build_fans(layout),
            "the bitmaps are not those of the keys",
        )
    }

    /// The order of the tails of two keys.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let order = |column: &Column| with_tokens!(column, tokens => tokens[a].cmp(&tokens[b]));
        self.tail
            .iter()
            .map(order)
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl Compact {
    fn verify(&self, layout: &SidLayout) -> Result<()> {
        self.high.verify()?;
        check(
            self.rest_is_zero(),
            "bits behind the low bits of the last key are set",
        )?;
        check(
            self.ends_within(),
            "a key is longer than the levels of the layout together",
        )?;
        let mut last = None;
        let mut steps = Steps::default();
        for key in self.keys(0) {
            steps.step();
            check(last < Some(key), "the keys do not ascend")?;
            check(
                exists(layout, key, layout.levels()),
                "a token is out of range for its level",
            )?;
            last = Some(key);
        }
        check(
            self.fans == self.build_fans(),
            "the bitmaps are not those of the keys",
        )
    }
}

impl Shelves {
    fn verify(&self, keys: usize) -> Result<()> {
        match &self.firsts {
            None => check(self.items.len() == keys, "not as many items as keys")?,
            Some(firsts) => {
                check(
                    self.items.len() > keys,
                    "it marks shared keys, and no key is shared",
                )?;
                firsts.verify()?;
                let within = firsts.rank(self.items.len()) == keys;
                check(
                    within && firsts.count_ones() == keys,
                    "not as many runs of items as keys",
                )?;
                check(
                    keys == 0 || firsts.words[0] & 1 == 1,
                    "an item before the first key",
                )?;
                let first = |slot: usize| firsts.words[slot / 64] >> (slot % 64) & 1 == 1;
                let ascends = |slot: usize| first(slot) || self.items[slot - 1] < self.items[slot];
                check(
                    (1..self.items.len()).all(ascends),
                    "the items under a key do not ascend",
                )?;
            }
        }
        check_distinct(&self.items).map_err(|error| damaged(error.to_string()))
    }
}

/// True if the first `levels` tokens of a key are tokens of their levels.
fn exists(layout: &SidLayout, key: u128, levels: usize) -> bool {
    let key = [(key >> 64) as u64, key as u64];
    (0..levels).all(|level| u32::from(layout.token(key, level)) < layout.sizes()[level])
}

fn check(holds: bool, otherwise: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(damaged(otherwise.into()))
    }
}
