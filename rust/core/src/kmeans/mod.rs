//! k-means on the assignment kernel, the same for a seed on any machine and any number of threads.
//!
//! Lloyd's iterations: rows go to their nearest centroid exactly as [`crate::assign()`] defines it, and centroids
//! to the mean of their rows, summed in f64: rows in order within blocks of [`SUM_ROWS`], blocks in a binary tree. A centroid without rows is put on the row that is farthest
//! from its own. Stops early when no row changes its centroid. From the second iteration on, most rows are known to stay where they are
//! without a look at other centroids; see `assign::drift`.

mod balance;
mod bisect;
mod init;
mod shard;
mod sums;

use crate::assign::distance;
use crate::assign::drift::Nearest;
use crate::rng::Rng;
use crate::{Codebooks, Error, Result, assign, codebook, guard, pool};

pub use init::{choose_parallel, places_parallel, sample, start};
pub use shard::{Far, Shard};
pub use sums::{Node, SUM_ROWS};

/// Rows that one task measures.
const BLOCK: usize = 1024;

/// Weight in rows of a first centroid in mini-batches. Without it, the first row would replace it, and
/// single rows are poor centroids.
const START_WEIGHT: u64 = 16;

/// Choice of the first centroids.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Different rows, uniformly at random.
    Random,
    /// k-means++ (Arthur and Vassilvitskii, SODA 2007) on a random sample of at most 32 rows a code: each next
    /// centroid is the best of a few rows drawn with probability proportional to their squared distance to those before.
    PlusPlus,
    /// k-means|| (Bahmani et al., VLDB 2012) on all rows: five rounds that each draw about as many candidates as
    /// there are codes, then weighted k-means++ among the candidates.
    Parallel,
    /// Means of parts: of a random sample of at most 256 rows a code, always the part with the largest squared error
    /// is cut in two at its mean, across its principal direction. Uses codes evenly where rows have no clusters.
    Bisect,
    /// These, `codes × dim`.
    Given(Vec<f32>),
}

/// Options of [`fit`].
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of centroids, at most the number of rows and [`codebook::MAX_CODES`].
    pub codebook_size: usize,
    /// The most iterations of Lloyd's algorithm, or the number of mini-batches.
    pub iterations: usize,
    /// Choice of the first centroids.
    pub init: Init,
    /// Determines every random choice.
    pub seed: u64,
    /// Rows of a mini-batch (Sculley, WWW 2010), or all rows in every iteration.
    pub batch_size: Option<usize>,
    /// The most rows that a centroid may take, or as many as are nearest to it. See [`fit`].
    pub capacity: Option<usize>,
    /// Number of threads that may work; 0 for all.
    pub threads: usize,
}

/// Result of [`fit`].
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// `codes × dim`.
    pub centroids: Vec<f32>,
    /// The centroid of every row: the nearest, unless a capacity was set.
    pub assignment: Vec<u16>,
    /// The sum of the squared distances of the rows to their centroids.
    pub objective: f64,
    /// Number of iterations made.
    pub iterations: usize,
}

/// Clusters `rows` (`n × dim`).
///
/// With a `capacity`, rows and centroids are matched stably (Gale and Shapley, 1962): every row asks its nearest
/// centroid first, a full centroid keeps the nearest of those that ask (the lowest row on a tie), the others ask
/// their next nearest. The returned assignment then keeps the capacity; plain assignment to the centroids may not.
///
/// # Errors
///
/// [`Error::Range`] for a zero `dim`, `codes` that are none, more than the rows or than [`codebook::MAX_CODES`], a zero
/// batch, or a capacity that does not hold all rows; [`Error::Length`] and [`Error::NotFinite`] for bad `rows` or
/// centroids to start with.
pub fn fit(rows: &[f32], dim: usize, options: &Options) -> Result<Clusters> {
    fit_watched(rows, dim, options, &mut || true)
}

/// As [`fit`], but asks `watch` many times an iteration whether to go on.
///
/// # Errors
///
/// Those of [`fit`], and [`Error::Stopped`] once `watch` has said no.
pub fn fit_watched(
    rows: &[f32],
    dim: usize,
    options: &Options,
    watch: &mut dyn FnMut() -> bool,
) -> Result<Clusters> {
    check(rows, dim, options)?;
    let centroids = init::centroids(rows, dim, options, watch)?;
    let mut fit = Fit {
        rows,
        dim,
        options,
        centroids,
        assignment: vec![0; rows.len() / dim],
    };
    let iterations = match options.batch_size {
        None => fit.lloyd(watch)?,
        Some(batch) => fit.mini_batches(batch, watch)?,
    };
    let distances = fit.distances();
    Ok(Clusters {
        centroids: fit.centroids,
        assignment: fit.assignment,
        objective: distances.iter().sum(),
        iterations,
    })
}

fn check(rows: &[f32], dim: usize, options: &Options) -> Result<()> {
    Error::check_range("dim", dim, 1, usize::MAX)?;
    let count = rows.len() / dim;
    Error::check_length("x", rows.len(), count * dim)?;
    Error::check_range("codebook_size", options.codebook_size, 1, codebook::MAX_CODES)?;
    Error::check_range("rows of x", count, options.codebook_size, u32::MAX as usize)?;
    Error::check_range("batch_size", options.batch_size.unwrap_or(1), 1, usize::MAX)?;
    let least = count.div_ceil(options.codebook_size);
    Error::check_range("capacity", options.capacity.unwrap_or(least), least, usize::MAX)?;
    if let Init::Given(centroids) = &options.init {
        Error::check_length("init", centroids.len(), options.codebook_size.saturating_mul(dim))?;
        Error::check_finite("init", dim, centroids)?;
    }
    Error::check_finite("x", dim, rows)
}

/// Says whether to go on.
type Watch<'a> = &'a mut dyn FnMut() -> bool;

fn keep_going(watch: Watch<'_>) -> Result<()> {
    guard::check();
    if watch() { Ok(()) } else { Err(Error::Stopped) }
}

/// A fit under way.
struct Fit<'a> {
    rows: &'a [f32],
    dim: usize,
    options: &'a Options,
    centroids: Vec<f32>,
    assignment: Vec<u16>,
}

impl Fit<'_> {
    fn lloyd(&mut self, watch: Watch<'_>) -> Result<usize> {
        let mut nearest = Nearest::new(self.assignment.len(), self.dim, self.options.codebook_size);
        let mut moved = vec![0.0; self.options.codebook_size];
        for iteration in 0..self.options.iterations {
            let before = self.assignment.clone();
            self.assign_again(&mut nearest, &moved, watch)?;
            let restarted = self.restart_empty();
            if iteration > 0 && !restarted && before == self.assignment {
                return Ok(iteration);
            }
            if restarted {
                nearest.forget();
            }
            let centroids = self.centroids.clone();
            self.move_centroids();
            moved = moved_since(&centroids, &self.centroids, self.dim);
        }
        self.assign_again(&mut nearest, &moved, watch)?;
        Ok(self.options.iterations)
    }

    /// As `assign`, with what is known of the iteration before, since which centroids moved so far at most.
    fn assign_again(&mut self, nearest: &mut Nearest, moved: &[f32], watch: Watch<'_>) -> Result<()> {
        if self.options.capacity.is_some() {
            return self.assign(watch);
        }
        keep_going(watch)?;
        let codebooks = Codebooks::new(self.dim, vec![self.centroids.clone()])?;
        nearest.update(self.rows, &codebooks, moved, self.options.threads);
        self.assignment.clone_from(&nearest.codes);
        Ok(())
    }

    fn mini_batches(&mut self, batch: usize, watch: Watch<'_>) -> Result<usize> {
        let mut rng = Rng::at(self.options.seed, u64::MAX);
        let mut seen = vec![START_WEIGHT; self.options.codebook_size];
        let count = self.assignment.len();
        for _ in 0..self.options.iterations {
            keep_going(watch)?;
            let places: Vec<usize> = (0..batch).map(|_| rng.below(count)).collect();
            let rows: Vec<f32> = places
                .iter()
                .flat_map(|&place| row(self.rows, self.dim, place))
                .copied()
                .collect();
            let codes = nearest(&rows, self.dim, &self.centroids, self.options.threads)?;
            for (row, &code) in rows.chunks_exact(self.dim).zip(&codes) {
                let code = usize::from(code);
                seen[code] += 1;
                let rate = 1.0 / seen[code] as f64;
                for (value, &target) in self.centroids[code * self.dim..][..self.dim].iter_mut().zip(row) {
                    *value = (f64::from(*value) + rate * (f64::from(target) - f64::from(*value))) as f32;
                }
            }
        }
        self.assign(watch)?;
        if self.restart_empty() {
            self.move_centroids();
            self.assign(watch)?;
        }
        Ok(self.options.iterations)
    }

    fn assign(&mut self, watch: Watch<'_>) -> Result<()> {
        keep_going(watch)?;
        self.assignment = match self.options.capacity {
            None => nearest(self.rows, self.dim, &self.centroids, self.options.threads)?,
            Some(capacity) => balance::assign(
                self.rows,
                self.dim,
                &self.centroids,
                capacity,
                self.options.threads,
                watch,
            )?,
        };
        Ok(())
    }

    /// Gives every empty cluster the row that is farthest from its centroid, and says whether there was any.
    fn restart_empty(&mut self) -> bool {
        let mut sizes = sizes(&self.assignment, self.options.codebook_size);
        let empty: Vec<usize> = (0..sizes.len()).filter(|&code| sizes[code] == 0).collect();
        if empty.is_empty() {
            return false;
        }
        let distances = self.distances();
        let mut farthest: Vec<usize> = (0..distances.len()).filter(|&row| distances[row] > 0.0).collect();
        farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
        let mut restarted = false;
        let mut candidates = farthest.into_iter();
        for code in empty {
            // A cluster's last row stays, or another cluster would be empty.
            let Some(place) = candidates.find(|&place| sizes[usize::from(self.assignment[place])] > 1) else {
                break;
            };
            sizes[usize::from(self.assignment[place])] -= 1;
            sizes[code] = 1;
            self.assignment[place] = code as u16;
            restarted = true;
        }
        restarted
    }

    /// Puts every centroid on the mean of its rows; one without rows stays.
    fn move_centroids(&mut self) {
        let rows = sums::Rows {
            values: self.rows,
            dim: self.dim,
            first: 0,
            threads: self.options.threads,
        };
        let codes = self.options.codebook_size;
        let sums = rows.sums(&self.assignment, codes, sums::root(self.assignment.len()));
        let counts = sizes(&self.assignment, codes);
        let places = self.centroids.chunks_exact_mut(self.dim);
        for ((centroid, sums), &count) in places.zip(sums.chunks_exact(self.dim)).zip(&counts) {
            if count > 0 {
                for (value, &sum) in centroid.iter_mut().zip(sums) {
                    *value = (sum / count as f64) as f32;
                }
            }
        }
    }

    /// The squared distance of every row to its centroid.
    fn distances(&self) -> Vec<f64> {
        distances(
            self.rows,
            self.dim,
            &self.centroids,
            &self.assignment,
            self.options.threads,
        )
    }
}

/// The squared distance of every row to its centroid.
fn distances(rows: &[f32], dim: usize, centroids: &[f32], assignment: &[u16], threads: usize) -> Vec<f64> {
    let mut distances = vec![0.0; assignment.len()];
    let blocks = distances.chunks_mut(BLOCK).zip(assignment.chunks(BLOCK));
    pool::for_each(
        threads,
        blocks.zip(rows.chunks(BLOCK * dim)),
        |((distances, codes), rows)| {
            for ((distance_, &code), row_) in distances.iter_mut().zip(codes).zip(rows.chunks_exact(dim)) {
                *distance_ = distance(row_, row(centroids, dim, usize::from(code)));
            }
        },
    );
    distances
}

/// Distance of every centroid from its former place, rounded up.
fn moved_since(before: &[f32], now: &[f32], dim: usize) -> Vec<f32> {
    let pairs = now.chunks_exact(dim).zip(before.chunks_exact(dim));
    pairs
        .map(|(now, before)| ((distance(now, before).sqrt() * (1.0 + 1e-9)) as f32).next_up())
        .collect()
}

/// Row `place` of `rows`.
fn row(rows: &[f32], dim: usize, place: usize) -> &[f32] {
    &rows[place * dim..][..dim]
}

/// The nearest of `centroids` for every row.
fn nearest(rows: &[f32], dim: usize, centroids: &[f32], threads: usize) -> Result<Vec<u16>> {
    let codebooks = Codebooks::new(dim, vec![centroids.to_vec()])?;
    let mut codes = vec![0; rows.len() / dim];
    assign(rows, &codebooks, &mut codes, threads)?;
    Ok(codes)
}

/// Number of rows each code has.
fn sizes(assignment: &[u16], codes: usize) -> Vec<usize> {
    let mut sizes = vec![0; codes];
    for &code in assignment {
        sizes[usize::from(code)] += 1;
    }
    sizes
}

/// The rows of each code, in order.
fn members(assignment: &[u16], codes: usize) -> Vec<Vec<u32>> {
    let mut members: Vec<Vec<u32>> = sizes(assignment, codes)
        .into_iter()
        .map(Vec::with_capacity)
        .collect();
    for (place, &code) in assignment.iter().enumerate() {
        members[usize::from(code)].push(place as u32);
    }
    members
}
