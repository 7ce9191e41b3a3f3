//! Items with similar vectors.

use super::Model;
use super::catalogue::Catalogue;
use super::recommend::{Arena, with_arena, write};
use crate::error::{Error, Result};
use crate::pool;

/// Least length of a vector: shorter ones are similar to nothing.
const SHORTEST: f32 = 1e-12;

impl Model {
    /// Writes the items whose vectors have the highest cosines with those of some items, best first, to `items`, (of, k),
    /// padded with -1, and the cosines, padded with -inf. An item is not similar to itself.
    ///
    /// # Errors
    /// [`Error::Range`] for `k` of 0, [`Error::Length`] for results of another length, [`Error::UnknownItem`] for an item
    /// that does not exist.
    pub fn similar(
        &self,
        of: &[u32],
        k: usize,
        threads: usize,
        items: &mut [i32],
        scores: &mut [f32],
    ) -> Result<()> {
        Error::check_range("k", k, 1, usize::MAX)?;
        Error::check_length("items", items.len(), of.len() * k)?;
        Error::check_length("scores", scores.len(), of.len() * k)?;
        let catalogue = self.snapshot();
        catalogue.check(of)?;
        let lengths = catalogue.inverse_lengths();
        let threads = if of.len() == 1 { 1 } else { threads };
        let tasks = of.iter().zip(items.chunks_mut(k).zip(scores.chunks_mut(k)));
        pool::for_each(threads, tasks, |(&item, out)| {
            with_arena(|arena| self.similar_to(&catalogue, lengths, item, arena, out));
        });
        Ok(())
    }

    fn similar_to(
        &self,
        catalogue: &Catalogue,
        lengths: &[f32],
        item: u32,
        arena: &mut Arena,
        (items, scores): (&mut [i32], &mut [f32]),
    ) {
        let row = catalogue.row[item as usize] as usize;
        arena.hidden.clear();
        arena.hidden.extend_from_slice(catalogue.vectors.row(row));
        self.score_rows(catalogue, 1, arena);
        let (top, products) = (&mut arena.top, &arena.products);
        top.start(items.len().min(catalogue.item.len()));
        let live = |slot: usize| catalogue.live.as_ref().is_none_or(|live| live.contains(slot));
        let others = catalogue.item.iter().enumerate().filter(|&(slot, _)| live(slot));
        for (_, &other) in others.filter(|&(_, &other)| other != item) {
            let row = catalogue.row[other as usize] as usize;
            let score = products[row] * lengths[row];
            if top.admits(score, other) {
                top.push(score, other);
            }
        }
        items.fill(-1);
        scores.fill(f32::NEG_INFINITY);
        write(top, 0.0, items, scores);
        let found = scores.iter_mut().take_while(|score| **score > f32::NEG_INFINITY);
        found.for_each(|score| *score *= lengths[row]);
    }
}

impl Catalogue {
    /// One over the length of each row of vectors, computed when first asked for.
    fn inverse_lengths(&self) -> &[f32] {
        self.inverse_lengths.get_or_init(|| {
            let length = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>().sqrt();
            self.vectors
                .parts()
                .flat_map(|part| part.chunks_exact(self.vectors.dim))
                .map(|row| 1.0 / length(row).max(SHORTEST))
                .collect()
        })
    }
}
