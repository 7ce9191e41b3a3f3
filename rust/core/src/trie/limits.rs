//! Limits of requests: excluded items and sets of allowed items.

use std::ops::{BitAnd, BitOr, BitXor, Not, Range};

use super::bits::Bits;
use super::exclude::{Excluded, Exclusion};
use super::{Span, States, Trie};
use crate::error::{Error, Result};
use crate::guard::{self, Steps};
use crate::memory;

/// A set of a trie's items: stock, a category, what is fresh. Sets of one trie combine with `&`, `|`, `^` and `!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemSet {
    /// One bit a slot; zeros beyond.
    bits: Bits,
    /// Number of slots.
    slots: usize,
}

impl ItemSet {
    /// Number of items in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bits.count_ones()
    }

    /// True if no item is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count(&self, slots: &Range<usize>) -> usize {
        self.bits.rank(slots.end) - self.bits.rank(slots.start)
    }

    fn contains(&self, slot: usize) -> bool {
        self.bits.words[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn zip(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        let pairs = self.bits.words.iter().zip(other.bits.words.iter());
        Self {
            bits: Bits::new(pairs.map(|(&a, &b)| join(a, b)).collect()),
            slots: self.slots.min(other.slots),
        }
    }
}

impl BitAnd for &ItemSet {
    type Output = ItemSet;

    /// The items in both.
    fn bitand(self, other: Self) -> ItemSet {
        self.zip(other, |a, b| a & b)
    }
}

impl BitOr for &ItemSet {
    type Output = ItemSet;

    /// The items in either.
    fn bitor(self, other: Self) -> ItemSet {
        self.zip(other, |a, b| a | b)
    }
}

impl BitXor for &ItemSet {
    type Output = ItemSet;

    /// The items in exactly one.
    fn bitxor(self, other: Self) -> ItemSet {
        self.zip(other, |a, b| a ^ b)
    }
}

impl Not for &ItemSet {
    type Output = ItemSet;

    /// The items of the trie that are not in the set.
    fn not(self) -> ItemSet {
        let mut words: Vec<u64> = self.bits.words.iter().map(|word| !word).collect();
        for (at, word) in words.iter_mut().enumerate().skip(self.slots / 64) {
            *word &= if at == self.slots / 64 {
                (1 << (self.slots % 64)) - 1
            } else {
                0
            };
        }
        ItemSet {
            bits: Bits::new(words),
            slots: self.slots,
        }
    }
}

/// Limits of the requests of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits<'a> {
    /// Items that each group must not get.
    pub exclude: Option<&'a Exclusion>,
    /// The allowed items: no set, one for all groups, or one for each.
    pub allow: &'a [&'a ItemSet],
}

impl<'a> Limits<'a> {
    pub(super) fn group(&self, group: usize) -> Permit<'a> {
        Permit {
            excluded: self
                .exclude
                .map_or(Excluded::NOTHING, |exclude| exclude.group(group)),
            allow: self
                .allow
                .get(if self.allow.len() == 1 { 0 } else { group })
                .copied(),
        }
    }

    /// The number of groups that so many states fall into.
    pub(super) fn check(&self, trie: &Trie, rows: usize, rows_per_group: usize) -> Result<usize> {
        let problem = |problem| {
            Err(Error::Groups {
                rows,
                rows_per_group,
                problem,
            })
        };
        if rows_per_group == 0 || rows_per_group > super::beam::MOST_ROWS {
            return problem("expected groups of 1 to 65536 rows");
        }
        if !rows.is_multiple_of(rows_per_group) {
            return problem("expected a whole number of groups");
        }
        let groups = rows / rows_per_group;
        if self.exclude.is_some_and(|exclude| exclude.groups() != groups) {
            return problem("expected one row of `exclude` for each group");
        }
        if self.allow.len() > 1 && self.allow.len() != groups {
            return problem("expected one set in `allow`, or one for each group");
        }
        if self.allow.iter().any(|set| set.slots != trie.item_count()) {
            return problem("a set of `allow` was made by another trie");
        }
        Ok(groups)
    }
}

/// Limits of one request.
#[derive(Clone, Copy)]
pub(super) struct Permit<'a> {
    excluded: Excluded<'a>,
    allow: Option<&'a ItemSet>,
}

impl Permit<'_> {
    /// The same for a part of the slots; none where it permits all of them.
    pub(super) fn narrow(&self, slots: &Range<usize>) -> Option<Self> {
        let excluded = self.excluded.within(slots);
        let allow = self.allow.filter(|set| set.count(slots) < slots.len());
        (!excluded.is_empty() || allow.is_some()).then_some(Self { excluded, allow })
    }

    /// True if any of `slots` is permitted.
    pub(super) fn permits_any(&self, slots: &Range<usize>) -> bool {
        let excluded = self.excluded.within(slots);
        match self.allow {
            None => excluded.len() < slots.len(),
            Some(set) => excluded.iter().filter(|&slot| set.contains(slot)).count() < set.count(slots),
        }
    }

    /// True if a slot is permitted.
    pub(super) fn permits(&self, slot: usize) -> bool {
        !self.excluded.contains(slot) && self.allow.is_none_or(|set| set.contains(slot))
    }
}

impl Trie {
    /// The set of `items`; those that are not in the trie are ignored.
    #[must_use]
    pub fn item_set(&self, items: &[i64]) -> ItemSet {
        let slots = self.item_count();
        let mut words = memory::filled(0, slots.div_ceil(64));
        let mut steps = Steps::default();
        for slot in items
            .iter()
            .filter_map(|&item| self.slot_of(u32::try_from(item).ok()?))
        {
            steps.step();
            words[slot as usize / 64] |= 1 << (slot % 64);
        }
        ItemSet {
            bits: Bits::new(words),
            slots,
        }
    }

    /// The items of a set, ascending.
    ///
    /// # Errors
    /// [`Error::Groups`] if the set was made by another trie.
    pub fn items_of(&self, set: &ItemSet) -> Result<Vec<u32>> {
        Limits {
            allow: &[set],
            ..Limits::default()
        }
        .check(self, 1, 1)?;
        let slots = (0..set.slots).filter(|&slot| set.contains(slot));
        let mut items = memory::with_capacity(set.len());
        items.extend(slots.map(|slot| self.shelves.items[slot]));
        items.sort_unstable();
        Ok(items)
    }

    /// As [`Trie::items`], only what the limits permit each state's group: `rows_per_group` states each.
    ///
    /// # Errors
    /// [`Error::Groups`] unless the states fall into the groups of the limits.
    pub fn items_within(
        &self,
        states: &States,
        rows_per_group: usize,
        limits: &Limits<'_>,
    ) -> Result<(Vec<u32>, Vec<i64>)> {
        limits.check(self, states.len(), rows_per_group)?;
        let (mut values, mut offsets) = (Vec::new(), memory::with_capacity(states.len() + 1));
        offsets.push(0);
        let mut steps = Steps::default();
        for (row, &span) in states.spans.iter().enumerate() {
            let permit = limits.group(row / rows_per_group);
            let slots = self
                .slots(states.depth, span)
                .filter(|&slot| permit.permits(slot));
            for slot in slots {
                steps.step();
                memory::reserve(&mut values, 1);
                values.push(self.shelves.items[slot]);
            }
            offsets.push(values.len() as i64);
        }
        Ok((values, offsets))
    }

    /// As [`Trie::allowed`], where a code is only allowed if the limits permit an item under it.
    ///
    /// # Errors
    /// As [`Trie::allowed`] and [`Trie::items_within`].
    pub fn allowed_within(
        &self,
        states: &States,
        rows_per_group: usize,
        limits: &Limits<'_>,
        out: &mut [bool],
    ) -> Result<()> {
        limits.check(self, states.len(), rows_per_group)?;
        self.allowed(states, out)?;
        let size = self.next_size(states)? as usize;
        for (row, (&span, codes)) in states.spans.iter().zip(out.chunks_exact_mut(size)).enumerate() {
            guard::check();
            let permit = limits
                .group(row / rows_per_group)
                .narrow(&self.slots(states.depth, span));
            for (code, allowed) in codes.iter_mut().enumerate() {
                *allowed = *allowed
                    && permit.is_none_or(|permit| self.leads_to_any(states.depth, span, code, &permit));
            }
        }
        Ok(())
    }

    /// True if any item under a child is permitted.
    pub(super) fn leads_to_any(&self, depth: usize, span: Span, code: usize, permit: &Permit<'_>) -> bool {
        let child = self.keys.child(depth, span, code as u16);
        permit.permits_any(&self.slots(depth + 1, child))
    }
}
