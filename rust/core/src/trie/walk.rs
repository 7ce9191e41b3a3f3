//! Walking the trie with a batch of states.

use std::ops::Range;

use super::Trie;
use crate::error::{Error, Result};
use crate::guard::Steps;
use crate::sid::Key;
use crate::{memory, pool};

/// Number of keys one thread finds before it asks for more.
const FIND_TASK: usize = 8192;

/// One state of a walk: a range of the directory's slots above the trie's head, of key positions below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub(super) lo: u32,
    /// Never below `lo`; equal when the state is dead.
    pub(super) hi: u32,
}

impl Span {
    /// The state that no key is under.
    pub const DEAD: Self = Self { lo: 0, hi: 0 };

    pub(super) fn new(lo: u32, hi: u32) -> Self {
        Self { lo, hi }
    }

    /// True if no key is under this state.
    #[must_use]
    pub fn is_dead(self) -> bool {
        self.lo == self.hi
    }
}

/// A batch of states at one depth. They belong to the trie that made them; another trie reads them as other prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct States {
    pub(super) depth: usize,
    pub(super) spans: Vec<Span>,
}

impl States {
    /// Number of states.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// True if the batch is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Number of tokens that led here.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The states themselves.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The states of these rows, in this order; rows may repeat.
    ///
    /// # Errors
    /// [`Error::RowRange`] for a row that is not there.
    pub fn select(&self, rows: &[i64]) -> Result<Self> {
        let pick = |(at, &row): (usize, &i64)| {
            let span = usize::try_from(row).ok().and_then(|row| self.spans.get(row));
            span.copied().ok_or(Error::RowRange {
                at,
                row,
                rows: self.len(),
            })
        };
        memory::check::<Span>(rows.len());
        let spans = rows.iter().enumerate().map(pick).collect::<Result<_>>()?;
        Ok(Self {
            depth: self.depth,
            spans,
        })
    }
}

impl Trie {
    /// A batch of states that have read nothing yet.
    #[must_use]
    pub fn start(&self, batch: usize) -> States {
        States {
            depth: 0,
            spans: memory::filled(self.keys.root(), batch),
        }
    }

    /// The number of tokens of the level that `states` would read next.
    ///
    /// # Errors
    /// [`Error::Complete`] if they have read all levels.
    pub fn next_size(&self, states: &States) -> Result<u32> {
        let size = self.layout.sizes().get(states.depth);
        size.copied().ok_or(Error::Complete {
            levels: self.layout.levels(),
        })
    }

    /// Each state after one more token. A token that leads nowhere, or that its level does not have, gives a dead state.
    ///
    /// # Errors
    /// [`Error::Length`] unless there is one token for each state, [`Error::Complete`] at the last level.
    pub fn step(&self, states: &States, codes: &[i64]) -> Result<States> {
        let size = i64::from(self.next_size(states)?);
        if codes.len() != states.len() {
            return Err(Error::Length {
                what: "tokens",
                expected: states.len(),
                got: codes.len(),
            });
        }
        let next = |(&span, &code): (&Span, &i64)| {
            if (0..size).contains(&code) {
                self.keys.child(states.depth, span, code.unsigned_abs() as u16)
            } else {
                Span::DEAD
            }
        };
        let spans = states.spans.iter().zip(codes).map(next).collect();
        Ok(States {
            depth: states.depth + 1,
            spans,
        })
    }

    /// The states after reading the first `depth` tokens of each key; dead where no key begins so.
    ///
    /// # Errors
    /// As [`crate::SidLayout::unpack`], and [`Error::Depth`] if there are fewer than `depth` levels.
    pub fn find<K: Key>(&self, keys: &[K], depth: usize) -> Result<States> {
        if depth > self.layout.levels() {
            return Err(Error::Depth {
                levels: self.layout.levels(),
                got: depth,
            });
        }
        self.layout.check(keys)?;
        let mut spans = memory::filled(Span::DEAD, keys.len());
        // One thread, or 0 for all.
        let threads = usize::from(keys.len() < 4 * FIND_TASK);
        let tasks = keys.chunks(FIND_TASK).zip(spans.chunks_mut(FIND_TASK));
        pool::for_each(threads, tasks, |(keys, spans)| {
            self.keys.find(&self.layout, keys, depth, spans);
        });
        Ok(States { depth, spans })
    }

    /// Number of items under each state.
    #[must_use]
    pub fn count(&self, states: &States) -> Vec<i64> {
        memory::check::<i64>(states.len());
        states
            .spans
            .iter()
            .map(|&span| self.slots(states.depth, span).len() as i64)
            .collect()
    }

    /// The items under each state, ascending by Semantic ID and then by item: row `i` is
    /// `values[offsets[i]..offsets[i + 1]]`.
    #[must_use]
    pub fn items(&self, states: &States) -> (Vec<u32>, Vec<i64>) {
        let counts = states
            .spans
            .iter()
            .map(|&span| self.slots(states.depth, span).len());
        let mut values = memory::with_capacity(counts.sum());
        let mut offsets = memory::with_capacity(states.len() + 1);
        offsets.push(0);
        let mut steps = Steps::default();
        for &span in &states.spans {
            let items = &self.shelves.items[self.slots(states.depth, span)];
            steps.steps(items.len());
            values.extend_from_slice(items);
            offsets.push(values.len() as i64);
        }
        (values, offsets)
    }

    /// The slots of the items under a state.
    pub(super) fn slots(&self, depth: usize, span: Span) -> Range<usize> {
        self.shelves.slots(self.keys.positions(depth, span))
    }
}
