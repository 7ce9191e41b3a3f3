//! Assignment under a capacity: a stable matching of rows and centroids.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::assign::distance;
use crate::pool;

use super::row;

/// Rows that one task ranks.
const BLOCK: usize = 64;

/// A row's request for a centroid. The greatest is the first to be turned away.
#[derive(Clone, Copy)]
struct Request {
    distance: f64,
    row: u32,
}

/// How many centroids a row ranks at a time; the matching rarely looks further.
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
) -> Vec<u16> {
    let count = rows.len() / dim;
    let mut choices = vec![Choices::default(); count];
    let blocks = choices.chunks_mut(BLOCK).zip(rows.chunks(BLOCK * dim));
    pool::for_each(threads, blocks, |(choices, rows)| {
        for (choices, row) in choices.iter_mut().zip(rows.chunks_exact(dim)) {
            choices.rank(row, centroids);
        }
    });
    let mut kept: Vec<BinaryHeap<Request>> = vec![BinaryHeap::new(); centroids.len() / dim];
    for first in 0..count {
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
    assignment
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
