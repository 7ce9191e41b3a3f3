//! A part of the rows of a k-means whose rows lie on several machines.
//!
//! A driver sends the centroids to all shards, which assign their rows ([`Shard::assign`]); it adds up their counts and
//! sums ([`Shard::sums`]) and divides. With the steps of [`super::fit`] the result is that of [`super::fit`], bit for bit: every
//! shard begins at a multiple of [`super::SUM_ROWS`], and sums are nodes of one tree.

use crate::assign::drift::Nearest;
use crate::{Codebooks, Error, Result, codebook};

use super::init::Draws;
use super::sums::{self, Node, Rows};
use super::{SUM_ROWS, distances, moved_since, sizes};

/// Consecutive rows of a larger k-means, and their centroids.
///
/// The rows themselves are handed to each call, so that they can stay where they are.
pub struct Shard {
    dim: usize,
    codebook_size: usize,
    first: u64,
    nearest: Nearest,
    assignment: Vec<u16>,
    centroids: Vec<f32>,
    draws: Option<Draws>,
}

/// A row far from its centroid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Far {
    /// The squared distance.
    pub distance: f64,
    /// The number of the row among those of all shards.
    pub row: u64,
    /// Its centroid.
    pub code: u16,
}

impl Shard {
    /// A shard of `rows` rows of `dim` numbers, the first of which is row `first` of all.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for a zero `dim`, a bad `codebook_size`, too many rows, or a `first` that is no multiple of
    /// [`SUM_ROWS`].
    pub fn new(rows: usize, dim: usize, codebook_size: usize, first: u64) -> Result<Self> {
        Error::check_range("dim", dim, 1, usize::MAX)?;
        Error::check_range("codebook_size", codebook_size, 1, codebook::MAX_CODES)?;
        Error::check_range("rows of x", rows, 0, u32::MAX as usize)?;
        Error::check_range(
            "rest of `first` by 65536",
            (first % SUM_ROWS as u64) as usize,
            0,
            0,
        )?;
        Ok(Self {
            dim,
            codebook_size,
            first,
            nearest: Nearest::new(rows, dim, codebook_size),
            assignment: vec![0; rows],
            centroids: Vec::new(),
            draws: None,
        })
    }

    /// Assigns the rows to their nearest centroids, and says whether any has another than before.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad rows or centroids.
    pub fn assign(&mut self, rows: &[f32], centroids: &[f32], threads: usize) -> Result<bool> {
        self.check(rows)?;
        Error::check_length("centroids", centroids.len(), self.codebook_size * self.dim)?;
        let codebooks = Codebooks::new(self.dim, vec![centroids.to_vec()])?;
        let known = !self.centroids.is_empty();
        if !known {
            Error::check_finite("x", self.dim, rows)?;
        }
        let moved = if known {
            moved_since(&self.centroids, centroids, self.dim)
        } else {
            vec![0.0; self.codebook_size]
        };
        self.nearest.update(rows, &codebooks, &moved, threads);
        self.centroids = centroids.to_vec();
        let changed = !known || self.nearest.codes != self.assignment;
        self.assignment.clone_from(&self.nearest.codes);
        Ok(changed)
    }

    /// The centroid of every row.
    #[must_use]
    pub fn assignment(&self) -> &[u16] {
        &self.assignment
    }

    /// Number of rows of each centroid.
    #[must_use]
    pub fn counts(&self) -> Vec<u64> {
        let counts = sizes(&self.assignment, self.codebook_size);
        counts.into_iter().map(|count| count as u64).collect()
    }

    /// The nodes of the tree of sums above these rows, and for each of them the sums of the rows of every centroid,
    /// `codebook_size × dim`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for other rows than before.
    pub fn sums(&self, rows: &[f32], threads: usize) -> Result<Vec<(Node, Vec<f64>)>> {
        self.check(rows)?;
        let rows = self.rows(rows, threads);
        let sums = |node| (node, rows.sums(&self.assignment, self.codebook_size, node));
        Ok(sums::nodes(self.first, self.assignment.len())
            .into_iter()
            .map(sums)
            .collect())
    }

    /// At most `most` rows that are farthest from their centroids, farthest first, and then in their order.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for other rows than before.
    pub fn farthest(&self, rows: &[f32], most: usize, threads: usize) -> Result<Vec<Far>> {
        let distances = self.distances(rows, threads)?;
        let far = |place: usize| Far {
            distance: distances[place],
            row: self.first + place as u64,
            code: self.assignment[place],
        };
        let mut farthest: Vec<Far> = (0..distances.len())
            .filter(|&place| distances[place] > 0.0)
            .map(far)
            .collect();
        farthest.sort_by(|a, b| b.distance.total_cmp(&a.distance).then(a.row.cmp(&b.row)));
        farthest.truncate(most);
        Ok(farthest)
    }

    /// Gives a row, by its number among all, to a centroid that had none. The next `assign` begins from nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for a row of another shard, or no centroid.
    pub fn restart(&mut self, row: u64, code: u16) -> Result<()> {
        let place = row
            .checked_sub(self.first)
            .map_or(usize::MAX, |place| place as usize);
        Error::check_range("row", place, 0, self.assignment.len().saturating_sub(1))?;
        Error::check_range("code", usize::from(code), 0, self.codebook_size - 1)?;
        self.assignment[place] = code;
        self.nearest.forget();
        Ok(())
    }

    /// The sum of the squared distances of the rows to their centroids.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for other rows than before.
    pub fn objective(&self, rows: &[f32], threads: usize) -> Result<f64> {
        Ok(self.distances(rows, threads)?.iter().sum())
    }

    /// Begins k-means|| with its first candidate, and returns the sum of the costs of all rows.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad rows or a bad candidate.
    pub fn start_parallel(&mut self, rows: &[f32], candidate: &[f32]) -> Result<f64> {
        self.check(rows)?;
        Error::check_finite("x", self.dim, rows)?;
        Error::check_length("candidate", candidate.len(), self.dim)?;
        Error::check_finite("candidate", self.dim, candidate)?;
        let draws = Draws::new(rows, self.dim, self.first, candidate);
        let total = draws.total();
        self.draws = Some(draws);
        Ok(total)
    }

    /// Draws candidates in a round of k-means||: their numbers among the rows of all shards. `total` is the sum of the costs of
    /// all shards.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] before [`Shard::start_parallel`].
    pub fn draw_parallel(&self, round: u64, seed: u64, total: f64) -> Result<Vec<u64>> {
        let places = self.draws()?.draw(self.codebook_size, round, seed, total);
        Ok(places
            .into_iter()
            .map(|place| self.first + place as u64)
            .collect())
    }

    /// Adds the candidates of a round of k-means||, which follow `before` others, and returns the sum of the costs.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad rows or candidates.
    pub fn add_parallel(
        &mut self,
        rows: &[f32],
        candidates: &[f32],
        before: usize,
        threads: usize,
    ) -> Result<f64> {
        self.check(rows)?;
        let draws = self.draws.as_mut().ok_or_else(not_started)?;
        draws.add(rows, self.dim, candidates, before, threads)?;
        Ok(draws.total())
    }

    /// Number of rows that are nearest to each of `candidates` candidates, at the end of k-means||.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] before [`Shard::start_parallel`].
    pub fn weights_parallel(&mut self, candidates: usize) -> Result<Vec<f64>> {
        let draws = self.draws.take().ok_or_else(not_started)?;
        Ok(draws.weights(candidates))
    }

    fn draws(&self) -> Result<&Draws> {
        self.draws.as_ref().ok_or_else(not_started)
    }

    fn check(&self, rows: &[f32]) -> Result<()> {
        Error::check_length("x", rows.len(), self.assignment.len() * self.dim)
    }

    fn rows<'a>(&self, rows: &'a [f32], threads: usize) -> Rows<'a> {
        Rows {
            values: rows,
            dim: self.dim,
            first: self.first,
            threads,
        }
    }

    fn distances(&self, rows: &[f32], threads: usize) -> Result<Vec<f64>> {
        self.check(rows)?;
        Error::check_length("centroids", self.centroids.len(), self.codebook_size * self.dim)?;
        Ok(distances(
            rows,
            self.dim,
            &self.centroids,
            &self.assignment,
            threads,
        ))
    }
}

fn not_started() -> Error {
    Error::Length {
        what: "candidates of k-means||",
        expected: 1,
        got: 0,
    }
}
