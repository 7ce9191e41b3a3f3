//! Entropic transport over all preferred codes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use super::{Mixed, UNPLACED, occupancy, rows};
use crate::guard::Steps;
use crate::memory;

/// Settings of [`sinkhorn`].
#[derive(Clone, Copy, Debug)]
pub struct Sinkhorn {
    /// Temperature, in units of the mean cost beyond the item's cheapest code; small values approach the cheapest
    /// assignment, large ones an even one.
    pub epsilon: f64,
    /// Rounds of scaling.
    pub iterations: u32,
}

/// Moves each item to one of its preferred codes by entropic transport with bounded columns, rounded.
///
/// Weights start as exp(-(cost − the item's least) / (epsilon · mean of that)). Each round scales every item's weights to 1, then those of every
/// overfull code down to its room (Sinkhorn's algorithm with an inequality for the codes; Benamou et al. 2015, SIAM J. Sci. Comput. 37(2)).
/// Then codes with room are assigned by weight, the highest first, on a tie the earlier item and the earlier preferred
/// code. Arguments as in [`super::nearest`]. Returns the place of the chosen code among the preferred ones, or
/// [`UNPLACED`].
///
/// Takes about 40 bytes of memory per preferred code.
///
/// # Panics
///
/// If `preferred` is not a whole number of rows, or there is not one cost per preferred code.
#[must_use]
pub fn sinkhorn<K: Copy + Eq + Hash>(
    occupied: &[K],
    preferred: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
    settings: Sinkhorn,
) -> Vec<u32> {
    let items = rows(preferred, choices);
    assert_eq!(costs.len(), preferred.len(), "one cost per preferred code");
    if preferred.is_empty() {
        return vec![UNPLACED; items];
    }
    // Weights, columns, their order, and the numbers of the keys.
    memory::check::<[u64; 5]>(preferred.len());
    let counts = occupancy(occupied);
    let mut steps = Steps::default();
    let mut numbers: HashMap<K, usize, BuildHasherDefault<Mixed>> = HashMap::default();
    let mut room: Vec<u32> = Vec::new();
    let columns: Vec<usize> = preferred
        .iter()
        .map(|&key| {
            steps.step();
            *numbers.entry(key).or_insert_with(|| {
                room.push(capacity.saturating_sub(counts.get(&key).copied().unwrap_or(0)));
                room.len() - 1
            })
        })
        .collect();
    let mut weights = extra(costs, choices);
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    let scale = if mean > 0.0 {
        1.0 / (mean * settings.epsilon)
    } else {
        0.0
    };
    for (weight, &column) in weights.iter_mut().zip(&columns) {
        *weight = if room[column] == 0 {
            0.0
        } else {
            (-*weight * scale).exp()
        };
    }
    for _ in 0..settings.iterations {
        let mut sums = vec![0.0; room.len()];
        for (row, columns) in weights
            .chunks_exact_mut(choices)
            .zip(columns.chunks_exact(choices))
        {
            steps.step();
            let sum: f64 = row.iter().sum();
            for (weight, &column) in row.iter_mut().zip(columns) {
                *weight = if sum > 0.0 { *weight / sum } else { 0.0 };
                sums[column] += *weight;
            }
        }
        for (weight, &column) in weights.iter_mut().zip(&columns) {
            let most = f64::from(room[column]);
            if sums[column] > most {
                *weight *= most / sums[column];
            }
        }
    }
    rounded(&weights, &columns, room, choices)
}

/// The cost of each preferred code beyond the item's cheapest one.
fn extra(costs: &[f64], choices: usize) -> Vec<f64> {
    costs
        .chunks_exact(choices)
        .flat_map(|row| {
            let least = row.iter().copied().fold(f64::INFINITY, f64::min);
            row.iter().map(move |cost| cost - least)
        })
        .collect()
}

/// Assigns codes by weight; those without weight come last, in the order of preference.
fn rounded(weights: &[f64], columns: &[usize], mut room: Vec<u32>, choices: usize) -> Vec<u32> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    let mut steps = Steps::default();
    order.sort_unstable_by(|&a, &b| {
        steps.step();
        let by_weight = weights[b].total_cmp(&weights[a]);
        let rank = |pick: usize| (if weights[pick] > 0.0 { 0 } else { pick % choices }, pick);
        by_weight.then_with(|| rank(a).cmp(&rank(b)))
    });
    let mut placed = vec![UNPLACED; weights.len() / choices];
    for pick in order {
        let item = pick / choices;
        if placed[item] == UNPLACED && room[columns[pick]] > 0 {
            room[columns[pick]] -= 1;
            placed[item] = (pick % choices) as u32;
        }
    }
    placed
}
