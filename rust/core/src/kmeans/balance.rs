//! Assignment under a capacity: a stable matching of rows and centroids.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::assign::{self, Outputs, Rows, assign_with, distance};
use crate::{Codebooks, Result};

use super::{Watch, keep_going, row};

/// Rows that are ranked between two looks at the watch.
const BLOCK: usize = 16_384;

/// A row's request for a centroid. The greatest is the first to be turned away.
#[derive(Clone, Copy)]
struct Request {
    distance: f64,
    row: u32,
}

/// Number of centroids a row ranks at a time; the matching rarely looks further.
const RANKED: usize = 8;

/// The next choices of one row, nearest first, and how far it has come.
#[derive(Clone, Default)]
struct Choices {
    ranked: Vec<(f64, u16)>,
    next: usize,
}

/// The centroid of every row; none has more than `capacity` rows. There must be room for all.
pub(super) fn assign(
    rows: &[f32],
    dim: usize,
    centroids: &[f32],
    capacity: usize,
    threads: usize,
    watch: Watch<'_>,
) -> Result<Vec<u16>> {
    let count = rows.len() / dim;
    let mut choices = first_choices(rows, dim, centroids, threads, watch)?;
    let mut kept: Vec<BinaryHeap<Request>> = vec![BinaryHeap::new(); centroids.len() / dim];
    for first in 0..count {
        if first % BLOCK == 0 {
            keep_going(watch)?;
        }
        let mut asking = Some(first);
        while let Some(place) = asking {
            let (distance, code) = choices[place].next(row(rows, dim, place), centroids);
            let holders = &mut kept[usize::from(code)];
            holders.push(Request {
                distance,
                row: place as u32,
            });
            asking = if holders.len() > capacity {
                holders.pop().map(|request| request.row as usize)
            } else {
                None
            };
        }
    }
    let mut assignment = vec![0; count];
    for (code, holders) in kept.iter().enumerate() {
        for request in holders {
            assignment[request.row as usize] = code as u16;
        }
    }
    Ok(assignment)
}

/// The nearest centroids of every row, by the kernel of assignment.
fn first_choices(
    rows: &[f32],
    dim: usize,
    centroids: &[f32],
    threads: usize,
    watch: Watch<'_>,
) -> Result<Vec<Choices>> {
    let codebooks = Codebooks::new(dim, vec![centroids.to_vec()])?;
    let ranked = RANKED.min(centroids.len() / dim);
    let mut choices = Vec::with_capacity(rows.len() / dim);
    for rows in rows.chunks(BLOCK * dim) {
        keep_going(watch)?;
        let count = rows.len() / dim;
        let (mut codes, mut nearest) = (vec![0; count], vec![0; count * ranked]);
        let mut distances = vec![0.0; count * ranked];
        let outputs = Outputs {
            codes: &mut codes,
            alternatives: ranked,
            nearest: &mut nearest,
            distances: &mut distances,
            ..Outputs::default()
        };
        assign_with(
            Rows::F32(rows),
            &codebooks,
            outputs,
            assign::Options { threads, beam: 1 },
        )?;
        let ranks = distances.chunks_exact(ranked).zip(nearest.chunks_exact(ranked));
        choices.extend(ranks.map(|(distances, codes)| Choices {
            ranked: distances.iter().copied().zip(codes.iter().copied()).collect(),
            next: 0,
        }));
    }
    Ok(choices)
}

impl Choices {
    /// The next choice: its distance and its centroid.
    fn next(&mut self, row: &[f32], centroids: &[f32]) -> (f64, u16) {
        if self.next == self.ranked.len() {
            self.rank(row, centroids);
        }
        self.next += 1;
        self.ranked[self.next - 1]
    }

    /// Ranks the centroids that come after the last one ranked.
    fn rank(&mut self, row: &[f32], centroids: &[f32]) {
        let after = self.ranked.last().copied();
        let mut choices: Vec<(f64, u16)> = centroids
            .chunks_exact(row.len())
            .enumerate()
            .map(|(code, word)| (distance(row, word), code as u16))
            .filter(|&choice| after.is_none_or(|after| order(choice, after).is_gt()))
            .collect();
        if choices.len() > RANKED {
            choices.select_nth_unstable_by(RANKED - 1, |&a, &b| order(a, b));
            choices.truncate(RANKED);
        }
        choices.sort_unstable_by(|&a, &b| order(a, b));
        *self = Self {
            ranked: choices,
            next: 0,
        };
    }
}

/// Nearest first, the lowest code on a tie.
fn order(a: (f64, u16), b: (f64, u16)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

impl Ord for Request {
    fn cmp(&self, other: &Self) -> Ordering {
        self.distance
            .total_cmp(&other.distance)
            .then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Request {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Request {}
