//! Recommendation: one request on the calling thread, batches on the pool.

use std::cell::RefCell;
use std::sync::Arc;

use super::beam::Leaves;
use super::catalogue::Catalogue;
use super::encoder::{self, room};
use super::filter::{Filter, Slots};
use super::graph::Sums;
use super::math;
use super::products::products;
use super::top::Top;
use super::{Model, Scoring};
use crate::error::{Error, Result};
use crate::pool;

/// Users whose histories are encoded and scored together.
const USERS: usize = 32;
/// Values of a block's matrix of scores.
const MOST_SCORES: usize = 1 << 20;
/// Users of a batch below which it is not worth a second thread.
const WORTH_THREADS: usize = 4;

/// Rows of item numbers, one after the other: row i is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Copy, Debug)]
pub struct Ragged<'a> {
    /// Numbers of items.
    pub values: &'a [u32],
    /// First value of each row, and the number of values.
    pub offsets: &'a [usize],
}

impl<'a> Ragged<'a> {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// True if there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn row(&self, row: usize) -> &'a [u32] {
        &self.values[self.offsets[row]..self.offsets[row + 1]]
    }

    fn check(&self, what: &'static str, rows: usize, catalogue: &Catalogue) -> Result<()> {
        Error::check_length(what, self.len(), rows)?;
        let ascending = self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        if self.offsets.first() != Some(&0) || self.offsets.last() != Some(&self.values.len()) || !ascending {
            let values = self.values.len();
            return Err(Error::Offsets { what, values });
        }
        catalogue.check(self.values)
    }
}

/// A batch of requests. Items are numbers, as [`Model::find_ints`] and [`Model::find_texts`] give them.
#[derive(Clone, Copy, Debug)]
pub struct Requests<'a> {
    /// Items of each history, oldest first.
    pub histories: Ragged<'a>,
    /// Number of items to recommend to each.
    pub k: usize,
    /// The ranking, one of [`Model::scorings`].
    pub scoring: Scoring,
    /// Prefixes that a beam search keeps; at least `k` are.
    pub beam: usize,
    /// True to exclude the items of each history.
    pub exclude_seen: bool,
    /// Items that no request gets.
    pub exclude: &'a [u32],
    /// Items that each request does not get.
    pub exclude_each: Option<Ragged<'a>>,
    /// Items that may be recommended, nothing else: one row for all requests, or one for each.
    pub allow: Option<Ragged<'a>>,
}

impl<'a> Requests<'a> {
    /// Ten items for each history, by the default ranking of a model, without those of the history.
    #[must_use]
    pub fn new(histories: Ragged<'a>, model: &Model) -> Self {
        Self {
            histories,
            k: 10,
            scoring: model.scorings()[0],
            beam: 50,
            exclude_seen: true,
            exclude: &[],
            exclude_each: None,
            allow: None,
        }
    }
}

/// Buffers of a thread, which grow to what its largest request needs and stay.
#[derive(Default)]
pub(super) struct Arena {
    pub(super) encoder: encoder::Scratch,
    pub(super) hidden: Vec<f32>,
    /// Vector rows of the histories.
    rows: Vec<u32>,
    /// Scores by row of vectors, (users, rows).
    pub(super) products: Vec<f32>,
    /// Those of one user by leaf.
    leaves: Vec<f32>,
    masses: Vec<f32>,
    /// Those of one user by slot.
    slots: Vec<f32>,
    pub(super) top: Top,
    pub(super) frontier: Vec<u32>,
    /// Scores of the nodes in the frontier.
    pub(super) scores: Vec<f32>,
    /// Nodes of a beam.
    pub(super) best: Vec<(f32, u32)>,
    excluded: Vec<u32>,
    sums: Sums,
}

thread_local! {
    static ARENA: RefCell<Arena> = RefCell::default();
}

/// Calls `work` with the buffers of this thread.
pub(super) fn with_arena<R>(work: impl FnOnce(&mut Arena) -> R) -> R {
    ARENA.with(|arena| match arena.try_borrow_mut() {
        Ok(mut arena) => work(&mut arena),
        // Only if a request was made while another of this thread is being answered.
        Err(_) => work(&mut Arena::default()),
    })
}

/// A checked batch.
struct Batch<'a> {
    model: &'a Model,
    catalogue: &'a Catalogue,
    requests: &'a Requests<'a>,
    /// Allowed slots of all requests.
    shared: Option<Arc<Slots>>,
    /// Encoding of the only history.
    encoded: Option<&'a [f32]>,
}

impl Model {
    /// Answers one request whose history has been encoded.
    pub(super) fn recommend_encoded(
        &self,
        requests: &Requests<'_>,
        encoded: &[f32],
        items: &mut [i32],
        scores: &mut [f32],
    ) -> Result<()> {
        let snapshot = self.snapshot();
        let mut batch = Batch::new(self, &snapshot, requests)?;
        Error::check_length("items", items.len(), requests.k)?;
        Error::check_length("scores", scores.len(), requests.k)?;
        batch.encoded = Some(encoded);
        with_arena(|arena| batch.block(&[0], arena, items, scores));
        Ok(())
    }

    /// Writes the best items for each request to `items`, (requests, k), padded with -1, and their scores, padded with -inf.
    ///
    /// A request without a history gets popular items. One request runs on the calling thread and allocates nothing once the
    /// thread has answered one as large; more run on up to `threads` threads (0 for all).
    ///
    /// # Errors
    /// [`Error::Range`] for `k` or `beam` of 0 and a ranking that the model does not offer, [`Error::Length`] or
    /// [`Error::Offsets`] for rows that do not fit the requests, [`Error::UnknownItem`] for an item that does not exist.
    pub fn recommend(
        &self,
        requests: &Requests<'_>,
        threads: usize,
        items: &mut [i32],
        scores: &mut [f32],
    ) -> Result<()> {
        let snapshot = self.snapshot();
        let batch = Batch::new(self, &snapshot, requests)?;
        let (count, k) = (requests.histories.len(), requests.k);
        Error::check_length("items", items.len(), count * k)?;
        Error::check_length("scores", scores.len(), count * k)?;
        if count == 1 {
            with_arena(|arena| batch.block(&[0], arena, items, scores));
            return Ok(());
        }
        let mut order: Vec<u32> = (0..count as u32).collect();
        let length = |row: u32| {
            requests
                .histories
                .row(row as usize)
                .len()
                .min(self.encoder.max_items)
        };
        order.sort_by_key(|&row| std::cmp::Reverse(length(row)));
        let threads = match threads {
            _ if count < WORTH_THREADS => 1,
            0 => pool::default_threads(),
            threads => threads,
        };
        let most = (MOST_SCORES / snapshot.vectors.len()).clamp(1, USERS);
        let users = count.div_ceil(threads).clamp(1, most);
        let (mut found, mut values) = (vec![-1; items.len()], vec![f32::NEG_INFINITY; scores.len()]);
        let tasks = order
            .chunks(users)
            .zip(found.chunks_mut(users * k).zip(values.chunks_mut(users * k)));
        pool::for_each(threads, tasks, |(rows, (found, values))| {
            with_arena(|arena| batch.block(rows, arena, found, values));
        });
        for (place, &row) in order.iter().enumerate() {
            let (from, to) = (
                place * k..(place + 1) * k,
                row as usize * k..(row as usize + 1) * k,
            );
            items[to.clone()].copy_from_slice(&found[from.clone()]);
            scores[to].copy_from_slice(&values[from]);
        }
        Ok(())
    }
}

impl<'a> Batch<'a> {
    fn new(model: &'a Model, catalogue: &'a Catalogue, requests: &'a Requests<'a>) -> Result<Self> {
        let count = requests.histories.len();
        Error::check_range("k", requests.k, 1, usize::MAX)?;
        Error::check_range("beam", requests.beam, 1, usize::MAX)?;
        if !model.scorings().contains(&requests.scoring) {
            return Err(Error::Scoring {
                got: requests.scoring.name(),
                offered: model.scorings().iter().map(|scoring| scoring.name()).collect(),
            });
        }
        requests.histories.check("histories", count, catalogue)?;
        catalogue.check(requests.exclude)?;
        if let Some(rows) = &requests.exclude_each {
            rows.check("exclude", count, catalogue)?;
        }
        let mut shared: Option<Slots> = None;
        if let Some(rows) = &requests.allow {
            let expected = if rows.len() == 1 { 1 } else { count };
            rows.check("allow", expected, catalogue)?;
            if rows.len() == 1 {
                shared = Some(catalogue.set(rows.row(0), false));
            }
        }
        if !requests.exclude.is_empty() {
            let rest = catalogue.set(requests.exclude, true);
            match &mut shared {
                Some(shared) => shared.intersect(&rest),
                None => shared = Some(rest),
            }
        }
        let shared = match (shared, &catalogue.live) {
            (None, live) => live.clone(),
            (Some(mut shared), live) => {
                if let Some(live) = live {
                    shared.intersect(live);
                }
                Some(Arc::new(shared))
            }
        };
        Ok(Self {
            model,
            catalogue,
            requests,
            shared,
            encoded: None,
        })
    }

    /// Answers some requests, the longest history first.
    fn block(&self, rows: &[u32], arena: &mut Arena, items: &mut [i32], scores: &mut [f32]) {
        let (histories, k) = (&self.requests.histories, self.requests.k);
        items.fill(-1);
        scores.fill(f32::NEG_INFINITY);
        // Requests without a history come last.
        let users = rows.partition_point(|&row| !histories.row(row as usize).is_empty());
        self.encode(&rows[..users], arena);
        for (user, (&row, (items, scores))) in rows
            .iter()
            .zip(items.chunks_exact_mut(k).zip(scores.chunks_exact_mut(k)))
            .enumerate()
        {
            let mut excluded = std::mem::take(&mut arena.excluded);
            let own = self.own_allowed(row as usize);
            self.exclude(row as usize, &mut excluded);
            let filter = Filter {
                excluded: &excluded,
                allowed: own.as_ref().or(self.shared.as_deref()),
            };
            if user < users {
                self.rank(user, histories.row(row as usize), &filter, arena, (items, scores));
            } else {
                self.popular(&filter, arena, (items, scores));
            }
            arena.excluded = excluded;
        }
    }

    /// Encodes the histories of a block, and scores all rows of vectors unless the search does that itself.
    fn encode(&self, rows: &[u32], arena: &mut Arena) {
        let (catalogue, encoder) = (self.catalogue, &self.model.encoder);
        let dim = catalogue.vectors.dim;
        let recent = |row: u32| {
            let history = self.requests.histories.row(row as usize);
            &history[history.len().saturating_sub(encoder.max_items)..]
        };
        arena.rows.clear();
        for &row in rows {
            let vectors = recent(row).iter().map(|&item| catalogue.row[item as usize]);
            arena.rows.extend(vectors);
        }
        let mut histories: [&[u32]; USERS] = [&[]; USERS];
        let mut rest = &arena.rows[..];
        for (history, &row) in histories.iter_mut().zip(rows) {
            (*history, rest) = rest.split_at(recent(row).len());
        }
        let hidden = room(&mut arena.hidden, rows.len() * dim);
        match self.encoded {
            Some(state) => encoder.read_state(state, hidden),
            None => encoder.encode(
                &catalogue.vectors,
                &histories[..rows.len()],
                hidden,
                &mut arena.encoder,
            ),
        }
        if self.model.scores_all() {
            self.model.score_rows(catalogue, rows.len(), arena);
        }
    }

    /// The slots that only this request may get.
    fn own_allowed(&self, row: usize) -> Option<Slots> {
        let allow = self
            .requests
            .allow
            .filter(|allow| allow.len() > 1 || self.shared.is_none())?;
        let mut own = self.catalogue.set(allow.row(row), false);
        if let Some(shared) = &self.shared {
            own.intersect(shared);
        }
        Some(own)
    }

    /// Collects the slots that a request must not get, ascending.
    fn exclude(&self, row: usize, slots: &mut Vec<u32>) {
        slots.clear();
        if self.requests.exclude_seen {
            slots.extend(self.catalogue.slots(self.requests.histories.row(row)));
        }
        if let Some(rows) = &self.requests.exclude_each {
            slots.extend(self.catalogue.slots(rows.row(row)));
        }
        slots.sort_unstable();
        slots.dedup();
    }

    fn rank(
        &self,
        user: usize,
        history: &[u32],
        filter: &Filter<'_>,
        arena: &mut Arena,
        out: (&mut [i32], &mut [f32]),
    ) {
        let Requests { k, scoring, beam, .. } = *self.requests;
        // There are no more prefixes than items.
        let beam = beam.max(k).min(self.catalogue.item.len());
        self.model.rank(
            self.catalogue,
            &Ranking {
                user,
                history,
                scoring,
                beam,
            },
            filter,
            arena,
            out,
        );
    }

    fn popular(&self, filter: &Filter<'_>, arena: &mut Arena, (items, scores): (&mut [i32], &mut [f32])) {
        let top = &mut arena.top;
        top.start(items.len().min(self.catalogue.item.len()));
        for (slot, &item) in self.catalogue.item.iter().enumerate() {
            let score = self.catalogue.popularity(item);
            if top.admits(score, item) && filter.permits(slot) {
                top.push(score, item);
            }
        }
        write(top, 0.0, items, scores);
    }
}

/// A user of a block, and the list that is asked for.
pub(super) struct Ranking<'a> {
    pub(super) user: usize,
    pub(super) history: &'a [u32],
    pub(super) scoring: Scoring,
    pub(super) beam: usize,
}

impl Model {
    /// True if all rows of vectors are scored for each user.
    fn scores_all(&self) -> bool {
        self.normalizes != super::Normalizes::Levels
    }

    /// Scores all rows of vectors for the first users of `arena.hidden`.
    pub(super) fn score_rows(&self, catalogue: &Catalogue, users: usize, arena: &mut Arena) {
        let (dim, rows) = (catalogue.vectors.dim, catalogue.vectors.len());
        let hidden = &arena.hidden[..users * dim];
        let scores = room(&mut arena.products, users * rows);
        let mut first = 0;
        for part in catalogue.vectors.parts() {
            products(self.kernel, hidden, part, dim, &mut scores[first..], rows);
            first += part.len() / dim;
        }
    }

    /// Ranks items for one user whose hidden vector, and scores unless the search computes them, are in the arena.
    pub(super) fn rank(
        &self,
        catalogue: &Catalogue,
        ranking: &Ranking<'_>,
        filter: &Filter<'_>,
        arena: &mut Arena,
        (items, scores): (&mut [i32], &mut [f32]),
    ) {
        let (kernel, rows, user) = (self.kernel, catalogue.vectors.len(), ranking.user);
        if !self.scores_all() {
            let hidden = user * catalogue.vectors.dim..(user + 1) * catalogue.vectors.dim;
            self.search_levels(catalogue, hidden, ranking, filter, arena, (items, scores));
            return;
        }
        let by_row = &arena.products[user * rows..(user + 1) * rows];
        let by_leaf = by_leaf(catalogue, by_row, &mut arena.leaves);
        let mut offset = 0.0;
        if self.normalizes == super::Normalizes::Leaves {
            let most = math::maximum(kernel, by_leaf);
            let masses = room(&mut arena.masses, by_leaf.len());
            math::exponentials(kernel, by_leaf, most, masses);
            let total = most + math::sum(kernel, masses).ln();
            offset = -total;
            if ranking.scoring == Scoring::Sid {
                let leaves = Leaves {
                    kernel,
                    tree: &catalogue.tree,
                    scores: by_leaf,
                    most,
                    masses,
                };
                leaves.search(filter, ranking.beam, &mut arena.top, &mut arena.frontier);
                let best = arena.frontier.iter().map(|&leaf| (by_leaf[leaf as usize], leaf));
                write_leaves(catalogue, best, filter, offset, (items, scores));
                return;
            }
        }
        let by_slot = by_slot(
            catalogue,
            by_leaf,
            &mut arena.slots,
            ranking.scoring == Scoring::Fused,
        );
        if let (Some(graph), Scoring::Fused) = (&self.graph, ranking.scoring) {
            let by_slot = &mut arena.slots[..catalogue.item.len()];
            graph.mix(catalogue, ranking.history, by_slot, offset, &mut arena.sums);
            select(catalogue, by_slot, filter, items.len(), &mut arena.top);
            write(&mut arena.top, 0.0, items, scores);
            return;
        }
        select(catalogue, by_slot, filter, items.len(), &mut arena.top);
        write(&mut arena.top, offset, items, scores);
    }
}

/// Scores by leaf: those by row, or gathered from them where leaves have rows of their own or biases.
fn by_leaf<'a>(catalogue: &Catalogue, by_row: &'a [f32], buffer: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(leaves) = catalogue.tree.levels.last() else {
        return by_row;
    };
    if leaves.row.is_none() && leaves.bias.is_none() {
        return &by_row[..leaves.len()];
    }
    let scores = room(buffer, leaves.len());
    for (leaf, score) in scores.iter_mut().enumerate() {
        *score = by_row[leaves.row(leaf)];
    }
    if let Some(bias) = &leaves.bias {
        for (score, bias) in scores.iter_mut().zip(bias.iter()) {
            *score += bias;
        }
    }
    scores
}

/// Scores by slot: those by leaf where each has one item, unless they are to be changed.
fn by_slot<'a>(
    catalogue: &Catalogue,
    by_leaf: &'a [f32],
    buffer: &'a mut Vec<f32>,
    changed: bool,
) -> &'a [f32] {
    let slots = catalogue.item.len();
    if slots == by_leaf.len() {
        if changed {
            room(buffer, slots).copy_from_slice(by_leaf);
        }
        return by_leaf;
    }
    let buffer = room(buffer, slots);
    if let Some(leaves) = catalogue.tree.levels.last() {
        for (leaf, &score) in by_leaf.iter().enumerate() {
            buffer[leaves.children(leaf)].fill(score);
        }
    }
    buffer
}

/// Finds the best permitted items.
fn select(catalogue: &Catalogue, by_slot: &[f32], filter: &Filter<'_>, k: usize, top: &mut Top) {
    const GROUP: usize = 16;
    top.start(k.min(by_slot.len()));
    for (group, scores) in by_slot.chunks(GROUP).enumerate() {
        let least = top.least();
        // Without a branch for each score, so that a compiler compares several at once.
        if scores.iter().map(|&score| u32::from(score >= least)).sum::<u32>() > 0 {
            for (place, &score) in scores.iter().enumerate() {
                let slot = group * GROUP + place;
                let item = catalogue.item[slot];
                if top.admits(score, item) && filter.permits(slot) {
                    top.push(score, item);
                }
            }
        }
    }
}

/// Writes the best items, whose scores lack an offset.
pub(super) fn write(top: &mut Top, offset: f32, items: &mut [i32], scores: &mut [f32]) {
    for ((score, item), (to, value)) in top.sorted().zip(items.iter_mut().zip(scores)) {
        (*to, *value) = (item as i32, score + offset);
    }
}

/// Writes the permitted items of leaves, best first.
pub(super) fn write_leaves(
    catalogue: &Catalogue,
    best: impl Iterator<Item = (f32, u32)>,
    filter: &Filter<'_>,
    offset: f32,
    (items, scores): (&mut [i32], &mut [f32]),
) {
    let Some(leaves) = catalogue.tree.levels.last() else {
        return;
    };
    let slots = best.flat_map(|(score, leaf)| {
        let slots = leaves
            .children(leaf as usize)
            .filter(|&slot| filter.permits(slot));
        slots.map(move |slot| (slot, score))
    });
    for ((slot, score), (item, value)) in slots.zip(items.iter_mut().zip(scores)) {
        (*item, *value) = (catalogue.item[slot] as i32, score + offset);
    }
}
