//! The next trie from the one before: what did not change is copied in runs, nothing is sorted again.

use std::ops::Range;
use std::sync::Arc;

use super::edits::{Change, Edits};
use super::moved::Moved;
use crate::array::{Array, Number};
use crate::error::{Error, Result};
use crate::sid::{Key, SidLayout};
use crate::trie::bits::Bits;
use crate::trie::build::MOST_ITEMS;
use crate::trie::columns::{Column, Columns, Token, head_levels, with_tokens};
use crate::trie::compact::Compact;
use crate::trie::exclude::ByItem;
use crate::trie::keys::Keys;
use crate::trie::{Shelves, Trie, Verified};

/// The trie after `change`; in every array the one that [`Trie::build_as`] would make of the items that are left.
///
/// # Errors
/// [`Error::TooManyItems`], and as [`Edits::new`].
pub(super) fn splice(trie: &Arc<Trie>, change: &Change, unique: bool) -> Result<Trie> {
    let slots = trie.item_count() + change.added.len() - change.removed.len();
    if slots > MOST_ITEMS {
        return Err(Error::TooManyItems { got: slots });
    }
    let edits = Edits::new(trie, change, unique)?;
    let layout = &trie.layout;
    let keys = match &trie.keys {
        Keys::Fast(keys) => Keys::Fast(splice_columns(layout, keys, &edits)),
        Keys::Compact(keys) if layout.words() == 1 => {
            Keys::Compact(Compact::build(layout, &merge::<u64>(keys, &edits)))
        }
        Keys::Compact(keys) => Keys::Compact(Compact::build(layout, &merge::<[u64; 2]>(keys, &edits))),
    };
    let shelves = &trie.shelves;
    let items = edits
        .iter()
        .map(|(edit, items)| (edit.slots, &edits.items[items]));
    let items = splice_array(&shelves.items, items, edits.slots);
    let moved = Moved::after(trie, change, &edits);
    Ok(Trie {
        layout: layout.clone(),
        keys,
        shelves: Shelves {
            firsts: splice_firsts(shelves, &edits),
            items,
            by_item: ByItem::Moved(Arc::new(moved)),
        },
        verified: Verified(true),
    })
}

/// `old`, where each range of places is replaced by other values; `length` values in all.
fn splice_array<'a, T: Number>(
    old: &[T],
    edits: impl Iterator<Item = ((u32, u32), &'a [T])>,
    length: usize,
) -> Array<T> {
    Array::filled(length, |mut new| {
        let mut at = 0;
        for ((start, end), values) in edits {
            new = put(new, &old[at..start as usize]);
            new = put(new, values);
            at = end as usize;
        }
        put(new, &old[at..]);
    })
}

/// Writes `values` and gives the places behind them.
fn put<'a, T: Copy>(places: &'a mut [T], values: &[T]) -> &'a mut [T] {
    let (first, rest) = places.split_at_mut(values.len());
    first.copy_from_slice(values);
    rest
}

fn splice_columns(layout: &SidLayout, old: &Columns, edits: &Edits) -> Columns {
    let head = old.head();
    let mut directory = splice_directory(old, layout.bits_below(head), edits);
    let column = |(column, level): (&Column, usize)| {
        let token = |key| layout.token(<[u64; 2]>::from_u128(key), level);
        match column {
            Column::Narrow(old) => Column::Narrow(splice_tokens(old, edits, |key| token(key) as u8)),
            Column::Wide(old) => Column::Wide(splice_tokens(old, edits, token)),
        }
    };
    let mut tail: Vec<Column> = old.tail.iter().zip(head..).map(column).collect();
    let wanted = head_levels(layout, edits.keys);
    for level in head..wanted {
        directory = deepen(&directory, layout.bits()[level], &tail.remove(0));
    }
    for level in (wanted..head).rev() {
        let tokens = flatten(&mut directory, layout.bits()[level]);
        tail.insert(0, Column::of(layout.sizes()[level], tokens));
    }
    let mut columns = Columns::new(layout, wanted, directory.into(), tail, Vec::new());
    columns.fans = columns.build_fans(layout);
    columns
}

/// One token for each key: those of `old`, and `token` of the keys that come.
fn splice_tokens<T: Number>(old: &[T], edits: &Edits, token: impl Fn(u128) -> T) -> Array<T> {
    Array::filled(edits.keys, |mut new| {
        let mut at = 0;
        for (position, goes, key) in edits.key_edits() {
            let position = position as usize;
            new = put(new, &old[at..position]);
            at = position + usize::from(goes);
            if !goes {
                new = put(new, &[token(key)]);
            }
        }
        put(new, &old[at..]);
    })
}

/// The directory of the old head levels over the new keys; `rest` bits of a key lie below them.
fn splice_directory(old: &Columns, rest: u32, edits: &Edits) -> Vec<u32> {
    let head = |key: u128| key.checked_shr(rest).unwrap_or(0) as usize;
    let mut come = edits
        .key_edits()
        .filter(|edit| !edit.1)
        .map(|(_, _, key)| head(key))
        .peekable();
    let mut go = edits
        .key_edits()
        .filter(|edit| edit.1)
        .map(|(position, ..)| position)
        .peekable();
    let (mut came, mut gone) = (0, 0);
    let entry = |(slot, &start): (usize, &u32)| {
        while come.next_if(|&head| head < slot).is_some() {
            came += 1;
        }
        while go.next_if(|&position| position < start).is_some() {
            gone += 1;
        }
        start + came - gone
    };
    old.directory.iter().enumerate().map(entry).collect()
}

/// The directory of one level more, whose tokens are `column`.
fn deepen(directory: &[u32], bits: u32, column: &Column) -> Vec<u32> {
    let slots = directory.len() - 1;
    let mut deeper = vec![0; (slots << bits) + 1];
    with_tokens!(column, tokens => {
        for (slot, ends) in directory.windows(2).enumerate() {
            for token in &tokens[ends[0] as usize..ends[1] as usize] {
                deeper[(slot << bits | usize::from(token.code())) + 1] += 1;
            }
        }
    });
    let mut total = 0;
    for entry in &mut deeper {
        total += *entry;
        *entry = total;
    }
    deeper
}

/// Takes the last level, of so many bits, out of a directory, and gives its tokens by position.
fn flatten(directory: &mut Vec<u32>, bits: u32) -> impl Iterator<Item = u16> {
    let deeper = std::mem::take(directory);
    *directory = deeper.iter().step_by(1 << bits).copied().collect();
    let mask = (1_usize << bits) - 1;
    (0..deeper.len() - 1).flat_map(move |slot| {
        let keys = deeper[slot + 1] - deeper[slot];
        std::iter::repeat_n((slot & mask) as u16, keys as usize)
    })
}

/// All keys after the edits.
fn merge<K: Key>(old: &Compact, edits: &Edits) -> Vec<K> {
    let mut keys = Vec::with_capacity(edits.keys);
    let mut rest = old.keys(0).map(K::from_u128);
    let mut at = 0;
    for (position, goes, key) in edits.key_edits() {
        keys.extend(rest.by_ref().take((position - at) as usize));
        at = position;
        if goes {
            rest.next();
            at += 1;
        } else {
            keys.push(K::from_u128(key));
        }
    }
    keys.extend(rest);
    keys
}

/// Which slots are the first of their keys, after the edits; none where every key has one item.
fn splice_firsts(old: &Shelves, edits: &Edits) -> Option<Bits> {
    if edits.keys == edits.slots {
        return None;
    }
    let mut bits = BitWriter::default();
    let keep = |bits: &mut BitWriter, slots: Range<usize>| match &old.firsts {
        None => bits.fill(slots.len()),
        Some(firsts) => bits.copy(&firsts.words, slots),
    };
    let mut at = 0;
    for (edit, items) in edits.iter() {
        keep(&mut bits, at..edit.slots.0 as usize);
        for item in 0..items.len() {
            bits.push(u64::from(item == 0), 1);
        }
        at = edit.slots.1 as usize;
    }
    keep(&mut bits, at..old.items.len());
    Some(bits.finish())
}

/// Bits written one run after the other.
#[derive(Default)]
pub(super) struct BitWriter {
    words: Vec<u64>,
    /// Number of written bits of the last word; 0 where it is full.
    used: u32,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `bits`; the others are zeros. From 1 to 64.
    pub(super) fn push(&mut self, bits: u64, count: u32) {
        match self.words.last_mut() {
            Some(last) if self.used > 0 => {
                *last |= bits << self.used;
                if self.used + count > 64 {
                    self.words.push(bits >> (64 - self.used));
                }
            }
            _ => self.words.push(bits),
        }
        self.used = (self.used + count) % 64;
    }

    /// Appends so many ones.
    fn fill(&mut self, count: usize) {
        for at in (0..count).step_by(64) {
            let bits = (count - at).min(64) as u32;
            self.push(u64::MAX >> (64 - bits), bits);
        }
    }

    /// Appends a range of the bits of `words`.
    pub(super) fn copy(&mut self, words: &[u64], range: Range<usize>) {
        for at in range.clone().step_by(64) {
            let bits = (range.end - at).min(64) as u32;
            let (word, shift) = (at / 64, at as u32 % 64);
            let mut value = words[word] >> shift;
            if shift + bits > 64 {
                value |= words[word + 1] << (64 - shift);
            }
            self.push(value & u64::MAX >> (64 - bits), bits);
        }
    }

    pub(super) fn finish(self) -> Bits {
        Bits::new(self.words)
    }
}
