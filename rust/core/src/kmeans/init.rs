//! The first centroids.

use crate::rng::Rng;
use crate::{Result, pool};

use super::{BLOCK, Init, Options, Watch, bisect, keep_going, nearest, row};

/// Rows per code that k-means++ looks at.
const SAMPLE: usize = 32;

/// Rounds of k-means||; its authors found five enough.
const ROUNDS: u64 = 5;

/// The most candidates of k-means||, so that their numbers stay codes.
const MOST: usize = crate::codebook::MAX_CODES;

pub(super) fn centroids(rows: &[f32], dim: usize, options: &Options, watch: Watch<'_>) -> Result<Vec<f32>> {
    let count = rows.len() / dim;
    let mut rng = Rng::new(options.seed);
    match &options.init {
        Init::Given(centroids) => Ok(centroids.clone()),
        Init::Bisect => bisect::centroids(rows, dim, options, watch),
        Init::Random => Ok(gather(rows, dim, &rng.sample(count, options.codebook_size))),
        Init::PlusPlus => {
            let places = rng.sample(count, count.min(options.codebook_size.saturating_mul(SAMPLE)));
            let sample = gather(rows, dim, &places);
            let chosen = plus_plus(&sample, dim, &vec![1.0; places.len()], options, &mut rng, watch)?;
            Ok(gather(&sample, dim, &chosen))
        }
        Init::Parallel => parallel(rows, dim, options, &mut rng, watch),
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

fn parallel(
    rows: &[f32],
    dim: usize,
    options: &Options,
    rng: &mut Rng,
    watch: Watch<'_>,
) -> Result<Vec<f32>> {
    let count = rows.len() / dim;
    let mut places = vec![rng.below(count)];
    let mut owners = vec![0_u16; count];
    let first = row(rows, dim, places[0]);
    let mut distances: Vec<f32> = rows
        .chunks_exact(dim)
        .map(|row| quick_distance(row, first))
        .collect();
    for round in 0..ROUNDS {
        keep_going(watch)?;
        let total: f64 = distances.iter().copied().map(f64::from).sum();
        let fresh: Vec<usize> = (0..count)
            .filter(|&place| {
                let chance = options.codebook_size as f64 * f64::from(distances[place]) / total;
                Rng::at(options.seed ^ round, place as u64).unit() < chance
            })
            .take(MOST - places.len())
            .collect();
        if fresh.is_empty() {
            break;
        }
        let centers = gather(rows, dim, &fresh);
        let codes = nearest(rows, dim, &centers, options.threads)?;
        for (place, &code) in codes.iter().enumerate() {
            let distance = quick_distance(row(rows, dim, place), row(&centers, dim, usize::from(code)));
            if distance < distances[place] {
                distances[place] = distance;
                owners[place] = (places.len() + usize::from(code)) as u16;
            }
        }
        places.extend(fresh);
    }
    let mut weights = vec![0.0; places.len()];
    for &owner in &owners {
        weights[usize::from(owner)] += 1.0;
    }
    while places.len() < options.codebook_size {
        // Few different rows: any others will do, and what they leave empty is restarted.
        places.push(rng.below(count));
        weights.push(1.0);
    }
    let candidates = gather(rows, dim, &places);
    let chosen = plus_plus(&candidates, dim, &weights, options, rng, watch)?;
    Ok(gather(&candidates, dim, &chosen))
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
