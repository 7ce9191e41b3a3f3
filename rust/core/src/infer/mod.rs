//! Recommendations of a trained model, without Python and without torch.
//!
//! A [`Model`] is an *inference file*, mapped into memory: the finished vectors of all items and prefixes, the weights of
//! the history encoder, the tree of Semantic IDs, the transition graph and the item ids. `Session.export` of the Python
//! package, and `save` of its models, write such files.
//!
//! # How does it work?
//!
//! A history is encoded once, by recurrent units or causal attention. Scores of Semantic IDs are inner products of its
//! vector with theirs. The leaves of the tree stand in the order of their Semantic IDs, so the probability of a prefix is
//! a sum over adjacent leaves, and beam search only sums where it looks. Filters are part of the search: what a request
//! must not get never takes a place in a beam.
//!
//! All matrices are used where they lie in the file, as rows; nothing is copied or repacked when a model is opened. One
//! request runs on the calling thread, in buffers that the thread keeps. A batch is cut into blocks of users that share
//! the weights in the cache.
//!
//! Items can be added and removed while others read: an edit makes another snapshot of the catalogue, and a request that
//! has begun keeps its own.

mod attention;
mod beam;
mod catalogue;
mod edit;
mod encoder;
mod file;
mod filter;
mod graph;
mod grown;
mod growth;
mod gru;
mod ids;
mod levels;
mod math;
mod products;
mod recommend;
mod similar;
mod state;
mod top;
mod tree;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::assign::Kernel;
use crate::error::Result;
use catalogue::Catalogue;
use encoder::{Encoder, number};
use file::{Tensors, model};
use graph::Graph;
use growth::Growth;

pub use edit::NewItems;
pub use file::{Stored, Tensor, write};
pub use ids::ItemId;
pub use recommend::{Ragged, Requests};
pub use state::State;

/// A way to rank items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scoring {
    /// Beam search over Semantic IDs.
    Sid,
    /// The probabilities of all items.
    Exact,
    /// These, mixed with the transition graph.
    Fused,
    /// Inner products with all items, for models without Semantic IDs.
    Score,
}

impl Scoring {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::Exact => "exact",
            Self::Fused => "fused",
            Self::Score => "score",
        }
    }

    /// The ranking of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sid, Self::Exact, Self::Fused, Self::Score]
            .into_iter()
            .find(|scoring| scoring.name() == name)
    }
}

/// The softmax of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Normalizes {
    /// Scores of items are what they are.
    Nothing,
    /// One softmax over all leaves.
    Leaves,
    /// One over the children of each prefix.
    Levels,
}

/// A trained model, ready to recommend. It can be shared by threads.
#[derive(Debug)]
pub struct Model {
    kernel: Kernel,
    method: String,
    encoder: Encoder,
    graph: Option<Graph>,
    growth: Option<Growth>,
    normalizes: Normalizes,
    scorings: Vec<Scoring>,
    /// The current snapshot; the lock is held while the pointer is copied or replaced.
    current: RwLock<Arc<Catalogue>>,
    /// Held while an edit is made.
    writer: Mutex<()>,
}

impl Model {
    /// Opens the inference file at `path`, which must not be changed or cut while the model lives; [`write()`] never does
    /// that, since it puts a new file in its place. Unless `trusted`, the checksum is verified, and all numbers are; a
    /// trusted file that is damaged gives wrong answers or a panic, never undefined behaviour.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if the system refuses, [`crate::Error::Model`] if the file is foreign, of another version,
    /// truncated or damaged.
    pub fn open(path: &Path, trusted: bool) -> Result<Self> {
        let tensors = Tensors::open(path, trusted)?;
        let kernel = Kernel::best();
        let dim = number(&tensors.config, "d_model", 1)?;
        let catalogue = Catalogue::read(&tensors, dim)?;
        let levels = &catalogue.tree.levels;
        let growth = Growth::read(&tensors, kernel, dim, levels.len())?;
        let prefixes = growth.as_ref().map_or(0, Growth::prefixes);
        let fits = |row: u32| row == tree::NONE || (row as usize) < prefixes;
        if !levels
            .iter()
            .flat_map(|level| level.prefix.iter())
            .all(|rows| rows.iter().all(|&row| fits(row)))
        {
            return Err(model(format!("expected rows of prefixes below {prefixes}")));
        }
        let graph = Graph::read(&tensors, catalogue.items())?;
        let normalizes = match tensors.config["normalizes"].as_str() {
            Some("nothing") => Normalizes::Nothing,
            Some("leaves") => Normalizes::Leaves,
            Some("levels") => Normalizes::Levels,
            _ => {
                return Err(model(format!(
                    "`normalizes`: unknown {:.80}",
                    tensors.config["normalizes"].to_string()
                )));
            }
        };
        if (normalizes == Normalizes::Nothing) != catalogue.tree.levels.is_empty() {
            return Err(model(
                "expected a tree exactly where scores are normalized".to_owned(),
            ));
        }
        let scorings = match (normalizes, &graph) {
            (Normalizes::Nothing, _) => vec![Scoring::Score],
            (Normalizes::Levels, _) => vec![Scoring::Sid],
            (Normalizes::Leaves, None) => vec![Scoring::Sid, Scoring::Exact],
            (Normalizes::Leaves, Some(_)) => vec![Scoring::Sid, Scoring::Exact, Scoring::Fused],
        };
        Ok(Self {
            kernel,
            method: tensors.config["method"].as_str().unwrap_or_default().to_owned(),
            encoder: Encoder::read(&tensors, kernel, dim)?,
            graph,
            growth,
            normalizes,
            scorings,
            current: RwLock::new(Arc::new(catalogue)),
            writer: Mutex::new(()),
        })
    }

    /// The name of the recommender that was trained.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The rankings that the model offers, the default first.
    #[must_use]
    pub fn scorings(&self) -> &[Scoring] {
        &self.scorings
    }

    /// Most recent items of a history that are encoded.
    #[must_use]
    pub fn max_items(&self) -> usize {
        self.encoder.max_items
    }

    /// Number of items, those that were removed included: the numbers of items are below it.
    #[must_use]
    pub fn items(&self) -> usize {
        self.snapshot().items()
    }

    /// Number of items that can be recommended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot().live_items()
    }

    /// True if no item can be recommended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of edits of the catalogue since the model was opened.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot().version
    }

    /// True if item ids are integers, false if they are strings.
    #[must_use]
    pub fn has_int_ids(&self) -> bool {
        self.snapshot().ids.are_ints()
    }

    /// The numbers of items with integer ids, -1 for unknown ones.
    #[must_use]
    pub fn find_ints(&self, ids: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let snapshot = self.snapshot();
        let find = |id| snapshot.ids.find_int(id).map_or(-1, i64::from);
        ids.into_iter().map(find).collect()
    }

    /// The numbers of items with string ids, -1 for unknown ones.
    #[must_use]
    pub fn find_texts<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<i64> {
        let snapshot = self.snapshot();
        let find = |id| snapshot.ids.find_text(id).map_or(-1, i64::from);
        ids.into_iter().map(find).collect()
    }

    /// The ids of items by their numbers; none for numbers that are no items, such as padding.
    #[must_use]
    pub fn ids(&self, items: &[i32]) -> Vec<Option<ItemId>> {
        let snapshot = self.snapshot();
        let known = |item: i32| usize::try_from(item).ok().filter(|&item| item < snapshot.items());
        let id = |&item: &i32| known(item).map(|item| snapshot.ids.get(item));
        items.iter().map(id).collect()
    }

    /// The tokens of an item's Semantic ID; none for models without Semantic IDs, and for what is no item.
    #[must_use]
    pub fn tokens(&self, item: u32) -> Option<Vec<u16>> {
        let snapshot = self.snapshot();
        let slot = *snapshot.slot.get(item as usize)?;
        (!snapshot.tree.levels.is_empty()).then(|| snapshot.tree.tokens(slot as usize))
    }

    /// Training events of each item.
    #[must_use]
    pub fn counts(&self) -> Vec<i64> {
        self.snapshot().count.to_vec()
    }

    /// Number of dimensions of the vectors of items.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.snapshot().vectors.dim
    }

    /// The vectors of all items, those that were removed included, one after the other.
    #[must_use]
    pub fn vectors(&self) -> Vec<f32> {
        let snapshot = self.snapshot();
        let rows = snapshot.row.iter();
        rows.flat_map(|&row| snapshot.vectors.row(row as usize))
            .copied()
            .collect()
    }

    /// The items that can be recommended, as a flag for each.
    #[must_use]
    pub fn live(&self) -> Vec<bool> {
        let snapshot = self.snapshot();
        let live = |&slot: &u32| {
            snapshot
                .live
                .as_ref()
                .is_none_or(|live| live.contains(slot as usize))
        };
        snapshot.slot.iter().map(live).collect()
    }

    fn snapshot(&self) -> Arc<Catalogue> {
        // A poisoned lock still holds a whole snapshot.
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}
