//! The first centroids.

use crate::rng::Rng;
use crate::{Error, Result, pool};

use super::{BLOCK, Init, Options, Watch, bisect, keep_going, nearest, row};

/// Rows per code that k-means++ looks at.
const SAMPLE: usize = 32;

/// Rounds of k-means||; its authors found five enough.
const ROUNDS: u64 = 5;

/// The most candidates of k-means||, so that their numbers stay codes.
const MOST: usize = crate::codebook::MAX_CODES;

pub(super) fn centroids(rows: &[f32], dim: usize, options: &Options, watch: Watch<'_>) -> Result<Vec<f32>> {
    let count = rows.len() / dim;
    match &options.init {
        Init::Given(centroids) => Ok(centroids.clone()),
        Init::Parallel => parallel(rows, dim, options, watch),
        Init::Random | Init::PlusPlus | Init::Bisect => {
            let places = sample(count, &options.init, options.codebook_size, options.seed);
            if places.len() == count && options.init == Init::Bisect {
                return start_watched(rows, dim, count, options, watch);
            }
            start_watched(&gather(rows, dim, &places), dim, count, options, watch)
        }
    }
}

/// Rows of `count` from which the first centroids are made: all that [`start`] has to see. None for k-means||, which looks at
/// all rows, and for given centroids.
#[must_use]
pub fn sample(count: usize, init: &Init, codebook_size: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed);
    match init {
        Init::Given(_) | Init::Parallel => Vec::new(),
        Init::Random => rng.sample(count, codebook_size),
        Init::PlusPlus => rng.sample(count, count.min(codebook_size.saturating_mul(SAMPLE))),
        Init::Bisect => bisect::sample(count, codebook_size, &mut rng),
    }
}

/// The first centroids, from the rows that [`sample`] chose of `count`.
///
/// # Errors
///
/// [`crate::Error::Range`] or [`crate::Error::Length`] if these are not as many rows.
pub fn start(sample: &[f32], dim: usize, count: usize, options: &Options) -> Result<Vec<f32>> {
    Error::check_range("dim", dim, 1, usize::MAX)?;
    Error::check_range(
        "codebook_size",
        options.codebook_size,
        1,
        crate::codebook::MAX_CODES,
    )?;
    Error::check_range("rows of x", count, options.codebook_size, usize::MAX)?;
    let most = match options.init {
        Init::Random => options.codebook_size,
        Init::PlusPlus => options.codebook_size.saturating_mul(SAMPLE),
        Init::Bisect => options.codebook_size.saturating_mul(bisect::SAMPLE),
        Init::Given(_) | Init::Parallel => 0,
    };
    Error::check_length("sample", sample.len(), count.min(most).saturating_mul(dim))?;
    Error::check_finite("sample", dim, sample)?;
    start_watched(sample, dim, count, options, &mut || true)
}

fn start_watched(
    rows: &[f32],
    dim: usize,
    count: usize,
    options: &Options,
    watch: Watch<'_>,
) -> Result<Vec<f32>> {
    // The draws continue behind those of the sample.
    let mut rng = Rng::new(options.seed);
    let size = options.codebook_size;
    match &options.init {
        Init::Random => Ok(rows.to_vec()),
        Init::PlusPlus => {
            let sampled = rows.len() / dim;
            rng.skip_sample(sampled);
            let chosen = plus_plus(rows, dim, &vec![1.0; sampled], options, &mut rng, watch)?;
            Ok(gather(rows, dim, &chosen))
        }
        Init::Bisect => {
            bisect::skip_sample(count, size, &mut rng);
            bisect::centroids(rows, dim, options, &mut rng, watch)
        }
        Init::Given(_) | Init::Parallel => Ok(Vec::new()),
    }
}

/// Weighted greedy k-means++: the places of `options.codebook_size` of the rows.
///
/// Each choice is the best of a few draws, which needs far fewer restarts than a single draw.
fn plus_plus(
    rows: &[f32],
    dim: usize,
    weights: &[f64],
    options: &Options,
    rng: &mut Rng,
    watch: Watch<'_>,
) -> Result<Vec<usize>> {
    let trials = 2 + options.codebook_size.ilog2() as usize;
    let mut costs = weights.to_vec();
    let mut chosen = vec![draw(&costs, rng)];
    costs = costs_with(rows, dim, weights, None, chosen[0], options.threads);
    while chosen.len() < options.codebook_size {
        keep_going(watch)?;
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..trials {
            let place = draw(&costs, rng);
            let after = costs_with(rows, dim, weights, Some(&costs), place, options.threads);
            let total = after.iter().sum();
            if best.as_ref().is_none_or(|best| total < best.0) {
                best = Some((total, place, after));
            }
        }
        let (_, place, after) = best.expect("there is at least one trial");
        chosen.push(place);
        costs = after;
    }
    Ok(chosen)
}

/// Costs of the rows once row `place` is a centroid too: weight times squared distance to the nearest centroid.
fn costs_with(
    rows: &[f32],
    dim: usize,
    weights: &[f64],
    before: Option<&[f64]>,
    place: usize,
    threads: usize,
) -> Vec<f64> {
    let center = row(rows, dim, place);
    let mut costs = before.map_or_else(|| vec![f64::INFINITY; weights.len()], <[f64]>::to_vec);
    let blocks = costs.chunks_mut(BLOCK).zip(weights.chunks(BLOCK));
    pool::for_each(
        threads,
        blocks.zip(rows.chunks(BLOCK * dim)),
        |((costs, weights), rows)| {
            for (i, row) in rows.chunks_exact(dim).enumerate() {
                costs[i] = costs[i].min(weights[i] * f64::from(quick_distance(row, center)));
            }
        },
    );
    costs
}

fn parallel(rows: &[f32], dim: usize, options: &Options, watch: Watch<'_>) -> Result<Vec<f32>> {
    let count = rows.len() / dim;
    let size = options.codebook_size;
    let mut places = places_parallel(count, options.seed, 1);
    let mut draws = Draws::new(rows, dim, 0, row(rows, dim, places[0]));
    for round in 0..ROUNDS {
        keep_going(watch)?;
        let mut fresh = draws.draw(size, round, options.seed, draws.total());
        fresh.truncate(MOST - places.len());
        if fresh.is_empty() {
            break;
        }
        draws.add(
            rows,
            dim,
            &gather(rows, dim, &fresh),
            places.len(),
            options.threads,
        )?;
        places.extend(fresh);
    }
    let mut weights = draws.weights(places.len());
    // Few different rows: any others will do, and what they leave empty is restarted.
    let missing = size.saturating_sub(places.len());
    places.extend(&places_parallel(count, options.seed, 1 + missing)[1..]);
    weights.resize(places.len(), 1.0);
    let candidates = gather(rows, dim, &places);
    choose_watched(&candidates, dim, &weights, 1 + missing, options, watch)
}

/// Rows of `count` that k-means|| draws without looking at any: its first candidate, and those that fill up too few.
#[must_use]
pub fn places_parallel(count: usize, seed: u64, many: usize) -> Vec<usize> {
    let mut rng = Rng::new(seed);
    (0..many).map(|_| rng.below(count)).collect()
}

/// The centroids that k-means|| chooses among candidates by their weights, after `drawn` rows of [`places_parallel`].
///
/// # Errors
///
/// [`Error::Range`] or [`Error::Length`] unless there are enough candidates, and a weight for each; [`Error::NotFinite`] for a
/// bad candidate.
pub fn choose_parallel(
    candidates: &[f32],
    dim: usize,
    weights: &[f64],
    drawn: usize,
    options: &Options,
) -> Result<Vec<f32>> {
    Error::check_range("dim", dim, 1, usize::MAX)?;
    Error::check_range("candidates", weights.len(), options.codebook_size.max(1), MOST)?;
    Error::check_length("candidates", candidates.len(), weights.len() * dim)?;
    Error::check_finite("candidates", dim, candidates)?;
    choose_watched(candidates, dim, weights, drawn, options, &mut || true)
}

fn choose_watched(
    candidates: &[f32],
    dim: usize,
    weights: &[f64],
    drawn: usize,
    options: &Options,
    watch: Watch<'_>,
) -> Result<Vec<f32>> {
    let mut rng = Rng::new(options.seed);
    for _ in 0..drawn {
        rng.next_u64();
    }
    let chosen = plus_plus(candidates, dim, weights, options, &mut rng, watch)?;
    Ok(gather(candidates, dim, &chosen))
}

/// What k-means|| knows of some of the rows.
pub(super) struct Draws {
    /// The number of the first row among all.
    first: u64,
    /// The squared distance to the nearest candidate.
    distances: Vec<f32>,
    /// The nearest candidate.
    owners: Vec<u16>,
}

impl Draws {
    pub(super) fn new(rows: &[f32], dim: usize, first: u64, candidate: &[f32]) -> Self {
        let distances: Vec<f32> = rows
            .chunks_exact(dim)
            .map(|row| quick_distance(row, candidate))
            .collect();
        Self {
            first,
            owners: vec![0; distances.len()],
            distances,
        }
    }

    pub(super) fn total(&self) -> f64 {
        self.distances.iter().copied().map(f64::from).sum()
    }

    /// Places among these rows. Each row is drawn by a stream of its own, so that it does not matter who holds it.
    pub(super) fn draw(&self, codebook_size: usize, round: u64, seed: u64, total: f64) -> Vec<usize> {
        (0..self.distances.len())
            .filter(|&place| {
                let chance = codebook_size as f64 * f64::from(self.distances[place]) / total;
                Rng::at(seed ^ round, self.first + place as u64).unit() < chance
            })
            .collect()
    }

    /// Looks at further candidates, which follow `before` others.
    pub(super) fn add(
        &mut self,
        rows: &[f32],
        dim: usize,
        candidates: &[f32],
        before: usize,
        threads: usize,
    ) -> Result<()> {
        let codes = nearest(rows, dim, candidates, threads)?;
        for (place, &code) in codes.iter().enumerate() {
            let distance = quick_distance(row(rows, dim, place), row(candidates, dim, usize::from(code)));
            if distance < self.distances[place] {
                self.distances[place] = distance;
                self.owners[place] = (before + usize::from(code)) as u16;
            }
        }
        Ok(())
    }

    /// Number of rows that are nearest to each of the candidates.
    pub(super) fn weights(&self, candidates: usize) -> Vec<f64> {
        let mut weights = vec![0.0; candidates];
        for &owner in &self.owners {
            weights[usize::from(owner)] += 1.0;
        }
        weights
    }
}

/// A place with probability proportional to its cost; any place if all costs are 0.
fn draw(costs: &[f64], rng: &mut Rng) -> usize {
    let total: f64 = costs.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return rng.below(costs.len());
    }
    let mut rest = rng.unit() * total;
    let mut last = 0;
    for (place, &cost) in costs.iter().enumerate() {
        if cost > 0.0 {
            last = place;
            rest -= cost;
            if rest < 0.0 {
                break;
            }
        }
    }
    last
}

pub(super) fn gather(rows: &[f32], dim: usize, places: &[usize]) -> Vec<f32> {
    places
        .iter()
        .flat_map(|&place| row(rows, dim, place))
        .copied()
        .collect()
}

/// A squared distance in f32 whose order of summation is fixed and suits vector units, so that it is the same on every
/// machine, though not the exact one: good enough to draw by.
fn quick_distance(a: &[f32], b: &[f32]) -> f32 {
    in_lanes(a, b, |a, b| (a - b) * (a - b))
}

/// A scalar product, summed in the same way.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    in_lanes(a, b, |a, b| a * b)
}

fn in_lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..16 {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(&a, &b)| term(a, b)).sum();
    sums.iter().sum::<f32>() + rest
}
