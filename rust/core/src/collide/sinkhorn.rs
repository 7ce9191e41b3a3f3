//! All wishes weighed at once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash};

use super::{Mixed, UNPLACED, occupancy, rows};

/// Settings of [`sinkhorn`].
#[derive(Clone, Copy, Debug)]
pub struct Sinkhorn {
    /// Temperature, in units of the mean cost of a wish over that of the item's cheapest; small is near the cheapest
    /// assignment, large near an even one.
    pub epsilon: f64,
    /// Rounds of scaling.
    pub iterations: u32,
}

/// The wish that each item gets by entropic transport with bounded columns, rounded.
///
/// Weights start as exp(-(cost − the item's least) / (epsilon · mean of that)). Each round scales every item's weights to 1, then those of every
/// overfull code down to its room (Sinkhorn's algorithm with an inequality for the codes; Benamou et al. 2015, SIAM J. Sci. Comput. 37(2)).
/// Then the wishes are granted by weight, the heaviest first, on a tie the earlier item and the earlier wish,
/// where there is still room. Arguments as in [`super::nearest`]. Gives the number of the wish, or [`UNPLACED`].
///
/// Takes memory linear in the wishes: some 40 bytes each.
///
/// # Panics
///
/// If `wishes` is not a whole number of rows, or there is not one cost a wish.
#[must_use]
pub fn sinkhorn<K: Copy + Eq + Hash>(
    settled: &[K],
    wishes: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
    settings: Sinkhorn,
) -> Vec<u32> {
    let items = rows(wishes, choices);
    assert_eq!(costs.len(), wishes.len(), "one cost a wish");
    if wishes.is_empty() {
        return vec![UNPLACED; items];
    }
    let occupied = occupancy(settled);
    let mut numbers: HashMap<K, usize, BuildHasherDefault<Mixed>> = HashMap::default();
    let mut room: Vec<u32> = Vec::new();
    let columns: Vec<usize> = wishes
        .iter()
        .map(|&key| {
            *numbers.entry(key).or_insert_with(|| {
                room.push(capacity.saturating_sub(occupied.get(&key).copied().unwrap_or(0)));
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

/// What each wish costs beyond the item's cheapest.
fn extra(costs: &[f64], choices: usize) -> Vec<f64> {
    costs
        .chunks_exact(choices)
        .flat_map(|row| {
            let least = row.iter().copied().fold(f64::INFINITY, f64::min);
            row.iter().map(move |cost| cost - least)
        })
        .collect()
}

/// Grants wishes by weight; those without weight come last, in the order of preference.
fn rounded(weights: &[f64], columns: &[usize], mut room: Vec<u32>, choices: usize) -> Vec<u32> {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_unstable_by(|&a, &b| {
        let by_weight = weights[b].total_cmp(&weights[a]);
        let rank = |wish: usize| (if weights[wish] > 0.0 { 0 } else { wish % choices }, wish);
        by_weight.then_with(|| rank(a).cmp(&rank(b)))
    });
    let mut placed = vec![UNPLACED; weights.len() / choices];
    for wish in order {
        let item = wish / choices;
        if placed[item] == UNPLACED && room[columns[wish]] > 0 {
            room[columns[wish]] -= 1;
            placed[item] = (wish % choices) as u32;
        }
    }
    placed
}
