//! The items of a model at one moment: ids, places in the tree, vectors.

use std::sync::{Arc, OnceLock};

use super::file::{Tensors, model};
use super::filter::Slots;
use super::ids::Ids;
use super::tree::{NONE, Tree};
use crate::array::Array;
use crate::error::{Error, Result};

/// Number of items and rows that numbers of 32 bits can tell apart, with one to spare.
pub(super) const MOST: usize = u32::MAX as usize - 1;
/// Rows of a block of vectors that came later.
pub(super) const BLOCK_ROWS: usize = 1024;

/// A snapshot; an edit makes another.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    pub(super) ids: Ids,
    /// Empty for models without Semantic IDs, where slot i is leaf i.
    pub(super) tree: Tree,
    pub(super) vectors: Vectors,
    /// The item in each slot.
    pub(super) item: Array<u32>,
    /// The slot of each item.
    pub(super) slot: Array<u32>,
    /// The row of each item's vector, as histories are encoded.
    pub(super) row: Array<u32>,
    /// Training events of each item.
    pub(super) count: Array<i64>,
    /// Natural logarithm of half an event more.
    log_count: Array<f32>,
    /// Sum of all counts with half an event more.
    events: f64,
    /// Slots of the items that were not removed; none where no item was. Removed items stay in the tree and its softmax.
    pub(super) live: Option<Arc<Slots>>,
    /// One over the length of each row of vectors.
    pub(super) inverse_lengths: OnceLock<Vec<f32>>,
    /// Number of edits.
    pub(super) version: u64,
}

/// Rows of vectors: those of the file, and blocks of those that came later.
#[derive(Clone, Debug)]
pub(super) struct Vectors {
    pub(super) dim: usize,
    pub(super) base: Array<f32>,
    pub(super) added: Vec<Arc<Vec<f32>>>,
}

impl Vectors {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.base_rows()
            + self
                .added
                .iter()
                .map(|block| block.len() / self.dim)
                .sum::<usize>()
    }

    pub(super) fn base_rows(&self) -> usize {
        self.base.len() / self.dim
    }

    /// A row.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        let known = self.base_rows();
        if row < known {
            return &self.base[row * self.dim..][..self.dim];
        }
        let later = row - known;
        &self.added[later / BLOCK_ROWS][later % BLOCK_ROWS * self.dim..][..self.dim]
    }

    /// The rows as contiguous parts, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[f32]> {
        std::iter::once(&self.base[..]).chain(self.added.iter().map(|block| &block[..]))
    }

    /// The rows with others behind them. Blocks but the last are shared.
    pub(super) fn with(&self, mut rows: &[f32]) -> Self {
        let mut added = self.added.clone();
        let size = BLOCK_ROWS * self.dim;
        if let Some(last) = added.last_mut().filter(|last| last.len() < size) {
            let (first, rest) = rows.split_at(rows.len().min(size - last.len()));
            let mut block = Vec::with_capacity(last.len() + first.len());
            block.extend_from_slice(last);
            block.extend_from_slice(first);
            (*last, rows) = (Arc::new(block), rest);
        }
        added.extend(rows.chunks(size).map(|block| Arc::new(block.to_vec())));
        Self {
            dim: self.dim,
            base: self.base.clone(),
            added,
        }
    }
}

impl Catalogue {
    /// The catalogue of a file whose vectors have `dim` dimensions.
    pub(super) fn read(tensors: &Tensors, dim: usize) -> Result<Self> {
        let items = tensors.length("item.row")?;
        let (rows, width) = tensors.rows("vectors")?;
        if items == 0 || items > MOST || rows > MOST || width != dim {
            return Err(model(format!(
                "expected 1 to {MOST} items with vectors of {dim} dimensions, got {items} items, {rows} vectors of {width}"
            )));
        }
        let tree = Tree::read(tensors, items, rows)?;
        let item: Array<u32> = tensors.take("slot.item", &[items])?;
        let mut slot = vec![NONE; items];
        for (place, &each) in item.iter().enumerate() {
            match slot.get_mut(each as usize) {
                Some(slot) if *slot == NONE => *slot = place as u32,
                _ => return Err(model(format!("`slot.item`: expected each of {items} items once"))),
            }
        }
        let row: Array<u32> = tensors.take("item.row", &[items])?;
        if row.iter().any(|&row| row as usize >= rows) {
            return Err(model(format!("`item.row`: expected rows below {rows}")));
        }
        if tree.levels.is_empty() && rows != items {
            return Err(model(format!(
                "expected a vector for each of {items} items, got {rows}"
            )));
        }
        let count: Array<i64> = tensors.take("item.count", &[items])?;
        let mut live = None;
        if tensors.has("item.removed") {
            let removed: Array<u32> = tensors.take("item.removed", &[tensors.length("item.removed")?])?;
            if removed.iter().any(|&each| each as usize >= items) {
                return Err(model(format!("`item.removed`: expected items below {items}")));
            }
            let slots = removed.iter().map(|&each| slot[each as usize]);
            live = Some(Arc::new(Slots::new(items, slots, true)));
        }
        Ok(Self {
            ids: Ids::read(tensors, items)?,
            tree,
            vectors: Vectors {
                dim,
                base: tensors.take_finite("vectors", &[rows, dim])?,
                added: Vec::new(),
            },
            item,
            slot: slot.into(),
            row,
            log_count: logs(&count).into(),
            events: events(&count),
            count,
            live,
            inverse_lengths: OnceLock::new(),
            version: 0,
        })
    }

    /// Number of items, those that were removed included.
    pub(super) fn items(&self) -> usize {
        self.row.len()
    }

    /// Number of items that can be recommended.
    pub(super) fn live_items(&self) -> usize {
        self.live.as_ref().map_or(self.items(), |live| live.len())
    }

    /// Fails unless all are items.
    pub(super) fn check(&self, items: &[u32]) -> Result<()> {
        match items.iter().position(|&item| item as usize >= self.items()) {
            None => Ok(()),
            Some(row) => Err(Error::UnknownItem {
                row,
                item: i64::from(items[row]),
            }),
        }
    }

    /// Natural-log share of an item in the training events, half an event added to each item.
    pub(super) fn popularity(&self, item: u32) -> f32 {
        self.log_count[item as usize] - self.events.ln() as f32
    }

    /// Appends the training events of more items.
    pub(super) fn add_counts(&mut self, counts: &[i64]) {
        self.count = self.count.with(counts);
        self.log_count = self.log_count.with(&logs(counts));
        self.events += events(counts);
    }

    /// The slots of items.
    pub(super) fn slots<'a>(&'a self, items: &'a [u32]) -> impl Iterator<Item = u32> + 'a {
        items.iter().map(|&item| self.slot[item as usize])
    }

    /// The set of the slots of items, or of all but these.
    pub(super) fn set(&self, items: &[u32], without: bool) -> Slots {
        Slots::new(self.item.len(), self.slots(items), without)
    }
}

fn logs(counts: &[i64]) -> Vec<f32> {
    counts
        .iter()
        .map(|&count| (count as f64 + 0.5).ln() as f32)
        .collect()
}

fn events(counts: &[i64]) -> f64 {
    counts.iter().map(|&count| count as f64 + 0.5).sum()
}
