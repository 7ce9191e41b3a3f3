//! Candidate lists, checked once.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::list::{BadVector, List};
use crate::{Error, Result, pool};

/// Multiplications under which a call is not worth a second thread.
const INLINE: usize = 1 << 21;

/// Lists of candidates with their scores, and the vectors of all items.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    pub(super) vectors: &'a [f32],
    pub(super) dim: usize,
    items: &'a [i32],
    scores: &'a [f32],
    /// Places of a list, of which those with item -1 hold no candidate.
    width: usize,
}

impl<'a> Candidates<'a> {
    /// Takes the vectors of all items (items × `dim`), and `width` candidates a list with their scores; an item of -1
    /// is no candidate, whatever its score.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for a zero `dim` or `width`; [`Error::Length`] for buffers that do not fit;
    /// [`Error::Candidate`] for an item without a vector; [`Error::NotFinite`] for a score that is NaN or infinite.
    pub fn new(
        vectors: &'a [f32],
        dim: usize,
        items: &'a [i32],
        scores: &'a [f32],
        width: usize,
    ) -> Result<Self> {
        Error::check_range("dim", dim, 1, usize::MAX)?;
        Error::check_range("width", width, 1, usize::MAX)?;
        let count = vectors.len() / dim;
        Error::check_length("vectors", vectors.len(), count * dim)?;
        Error::check_length("items", items.len(), items.len() / width * width)?;
        Error::check_length("scores", scores.len(), items.len())?;
        for (place, (&item, score)) in items.iter().zip(scores).enumerate() {
            if item != -1 && usize::try_from(item).map_or(true, |item| item >= count) {
                return Err(Error::Candidate {
                    row: place / width,
                    item,
                    items: count,
                });
            }
            if item != -1 && !score.is_finite() {
                return Err(Error::NotFinite {
                    what: "scores",
                    row: place / width,
                });
            }
        }
        Ok(Self {
            vectors,
            dim,
            items,
            scores,
            width,
        })
    }

    /// Number of lists.
    #[must_use]
    pub fn lists(&self) -> usize {
        self.items.len() / self.width
    }

    /// Items and scores of a list.
    pub(super) fn row(&self, row: usize) -> (&'a [i32], &'a [f32]) {
        let range = row * self.width..(row + 1) * self.width;
        (&self.items[range.clone()], &self.scores[range])
    }

    /// Calls `choose` for every list, on up to `threads` threads (0: all), with room for what it chooses, filled with
    /// -1 and -∞. Each thread has a state of its own.
    pub(super) fn for_each<S>(
        &self,
        k: usize,
        (positions, values): (&mut [i32], &mut [f32]),
        threads: usize,
        state: impl Fn() -> S + Sync,
        choose: impl Fn(&mut S, &mut List<'a>, &mut [i32], &mut [f32]) -> std::result::Result<(), BadVector>
        + Sync,
    ) -> Result<()> {
        Error::check_range("k", k, 1, usize::MAX)?;
        Error::check_length("positions", positions.len(), self.lists() * k)?;
        Error::check_length("values", values.len(), self.lists() * k)?;
        positions.fill(-1);
        values.fill(f32::NEG_INFINITY);
        let products = self.items.len().saturating_mul(self.dim);
        let threads = if products.saturating_mul(k.min(self.width)) < INLINE {
            1
        } else {
            threads
        };
        let first_bad = AtomicUsize::new(usize::MAX);
        pool::for_each_with(
            threads,
            positions.chunks_mut(k).zip(values.chunks_mut(k)).enumerate(),
            || (List::new(*self), state()),
            |(list, state), (row, (positions, values))| {
                list.read(self.row(row));
                if let Err(BadVector { place }) = choose(state, list, positions, values) {
                    first_bad.fetch_min(row * self.width + place, Relaxed);
                }
            },
        );
        match first_bad.into_inner() {
            usize::MAX => Ok(()),
            place => Err(Error::NotFinite {
                what: "vectors",
                row: usize::try_from(self.items[place]).unwrap_or(0),
            }),
        }
    }
}
