//! Items that a request may get.

use std::ops::Range;

/// A set of slots, whose members in a range are counted in constant time.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    words: Vec<u64>,
    /// Number of members before each word, and at the end.
    ranks: Vec<u32>,
}

impl Slots {
    /// The set of `members`, all below `slots`; with `without`, all slots but these.
    pub(super) fn new(slots: usize, members: impl Iterator<Item = u32>, without: bool) -> Self {
        let mut words = vec![if without { u64::MAX } else { 0 }; slots.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !slots.is_multiple_of(64)) {
            *last &= (1 << (slots % 64)) - 1;
        }
        for slot in members {
            let bit = 1 << (slot % 64);
            if without {
                words[slot as usize / 64] &= !bit;
            } else {
                words[slot as usize / 64] |= bit;
            }
        }
        let mut set = Self {
            words,
            ranks: Vec::new(),
        };
        set.count();
        set
    }

    /// Keeps the members of another set of as many slots.
    pub(super) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
        self.count();
    }

    /// Number of members.
    pub(super) fn len(&self) -> usize {
        self.ranks.last().map_or(0, |&count| count as usize)
    }

    fn count(&mut self) {
        self.ranks.clear();
        self.ranks.push(0);
        let mut total = 0;
        for word in &self.words {
            total += word.count_ones();
            self.ranks.push(total);
        }
    }

    /// The slots below `slots` that are not members, ascending.
    pub(super) fn others(&self, slots: usize) -> impl Iterator<Item = usize> + '_ {
        let words = self
            .words
            .iter()
            .enumerate()
            .filter(|(_, word)| **word != u64::MAX);
        words
            .flat_map(|(place, word)| {
                (0..64)
                    .filter(move |bit| word >> bit & 1 == 0)
                    .map(move |bit| 64 * place + bit)
            })
            .take_while(move |&slot| slot < slots)
    }

    pub(super) fn contains(&self, slot: usize) -> bool {
        self.words[slot / 64] >> (slot % 64) & 1 == 1
    }

    fn rank(&self, slot: usize) -> u32 {
        let (word, bit) = (slot / 64, slot % 64);
        let below = if bit == 0 {
            0
        } else {
            (self.words[word] & ((1 << bit) - 1)).count_ones()
        };
        self.ranks[word] + below
    }

    fn count_in(&self, range: &Range<usize>) -> usize {
        (self.rank(range.end) - self.rank(range.start)) as usize
    }
}

/// Limits of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filter<'a> {
    /// Slots of items that it must not get, ascending and distinct.
    pub(super) excluded: &'a [u32],
    /// The slots it may get, nothing else.
    pub(super) allowed: Option<&'a Slots>,
}

impl Filter<'_> {
    /// True if a slot is permitted.
    pub(super) fn permits(&self, slot: usize) -> bool {
        self.excluded.binary_search(&(slot as u32)).is_err()
            && self.allowed.is_none_or(|allowed| allowed.contains(slot))
    }

    /// True if any slot of a range is permitted.
    pub(super) fn permits_any(&self, range: &Range<usize>) -> bool {
        let start = self
            .excluded
            .partition_point(|&slot| (slot as usize) < range.start);
        let excluded = self.excluded[start..]
            .iter()
            .take_while(|&&slot| (slot as usize) < range.end);
        match self.allowed {
            None => excluded.take(range.len()).count() < range.len(),
            Some(allowed) => {
                let gone = excluded.filter(|&&slot| allowed.contains(slot as usize)).count();
                gone < allowed.count_in(range)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_permitted_as_their_slots_are() {
        for slots in [1_usize, 63, 64, 130] {
            let members = || (0..slots as u32).filter(|slot| slot % 7 < 3);
            let mut both = Slots::new(slots, members(), false);
            both.intersect(&Slots::new(slots, members().filter(|slot| slot % 2 == 0), true));
            let excluded: Vec<u32> = (0..slots as u32).filter(|slot| slot % 5 == 1).collect();
            for allowed in [None, Some(&both)] {
                let filter = Filter {
                    excluded: &excluded,
                    allowed,
                };
                for start in 0..=slots {
                    for end in start..=slots {
                        let any = (start..end).any(|slot| filter.permits(slot));
                        assert_eq!(
                            filter.permits_any(&(start..end)),
                            any,
                            "{start}..{end} of {slots}"
                        );
                    }
                }
            }
            assert!((0..slots).all(|slot| both.contains(slot) == (slot % 7 < 3 && slot % 2 == 1)));
        }
    }
}
