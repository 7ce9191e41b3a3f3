//! The nearest codewords once more, after the codewords moved a little: what k-means asks for in every iteration.
//!
//! Each row keeps, for each group of codes, a lower bound of its distances to them, its own code apart. When codewords move, a bound
//! falls by no more than the farthest of its group went (Ding et al., Yinyang K-Means, ICML 2015). The distance to the
//! row's own codeword is computed again: groups whose bounds still lie above it hold nothing nearer. In the others, a code whose
//! own move leaves the bound above it is out as well. What is left, mostly one code or none, is measured; where much is left, the
//! row goes through the filter like any other, which gives new bounds. Bounds are rounded down, distances up, and near-ties
//! are left to the definition, so that the codes are those of assignment from nothing.

use crate::codebook::Codebooks;
use crate::pool;

use super::definition::nearest_of;
use super::filter::{Filter, Scratch};
use super::kernel::Kernel;
use super::tile::quick_error;
use super::{BLOCK, INLINE};

/// The most groups.
const GROUPS: usize = 64;

/// Dimensions for which there is a group, so that bounds take a fraction of what rows take.
const DIMENSIONS: usize = 6;

/// Above so many codes to measure, the filter is faster.
const FEW: usize = 32;

/// Rows that one task takes.
const ROWS: usize = 256;

/// Factor on a bound that covers its rounding.
const DOWN: f32 = 1.0 - 4.0 * f32::EPSILON;

/// The codes of rows, and what is known of their distances.
pub(crate) struct Nearest {
    pub(crate) codes: Vec<u16>,
    /// For each row and group, a lower bound of the distances to the group's codewords but the row's own.
    lower: Vec<f32>,
    /// Codes of one group.
    group: usize,
    groups: usize,
}

/// The codewords of one round.
struct Round<'a> {
    filter: Filter<'a>,
    codebooks: &'a Codebooks,
    /// Maximum move of each codeword, and the largest one of each group.
    moved: &'a [f32],
    farthest: Vec<f32>,
    group: usize,
    /// The relative error of a quick distance.
    error: f32,
}

impl Nearest {
    /// Nothing known about `count` rows of `dim` numbers and `codes` codes.
    pub(crate) fn new(count: usize, dim: usize, codes: usize) -> Self {
        let group = codes
            .div_ceil((dim / DIMENSIONS).clamp(1, GROUPS))
            .next_multiple_of(4);
        let groups = codes.div_ceil(group);
        Self {
            codes: vec![0; count],
            lower: vec![0.0; count * groups],
            group,
            groups,
        }
    }

    /// Forgets what is known of distances, as after a change of `codes` from outside.
    pub(crate) fn forget(&mut self) {
        self.lower.fill(0.0);
    }

    /// Finds the codes again. `moved` says how far each codeword went, at most, since the last time; rows are finite.
    pub(crate) fn update(&mut self, rows: &[f32], codebooks: &Codebooks, moved: &[f32], threads: usize) {
        let dim = codebooks.dim();
        let largest = |moved: &[f32]| moved.iter().fold(0.0_f32, |most, &moved| most.max(moved));
        let round = Round {
            filter: Filter::new(codebooks, 0),
            codebooks,
            moved,
            farthest: moved.chunks(self.group).map(largest).collect(),
            group: self.group,
            error: 2.0 * quick_error(dim),
        };
        let tasks = self
            .codes
            .chunks_mut(ROWS)
            .zip(self.lower.chunks_mut(ROWS * self.groups))
            .zip(rows.chunks(ROWS * dim));
        let groups = self.groups;
        let work = rows.len().saturating_mul(moved.len());
        let threads = if work < INLINE { 1 } else { threads };
        pool::for_each_with(
            threads,
            tasks,
            || (Scratch::new(codebooks, BLOCK), Vec::with_capacity(BLOCK)),
            |(scratch, left), ((codes, lower), rows)| {
                let mut lower: Vec<&mut [f32]> = lower.chunks_mut(groups).collect();
                for (place, row) in rows.chunks_exact(dim).enumerate() {
                    if round.keep_or_measure(row, &mut codes[place], lower[place]) {
                        continue;
                    }
                    let slot = left.len() * scratch.stride;
                    scratch.residuals()[slot..slot + dim].copy_from_slice(row);
                    left.push(place);
                    if left.len() == BLOCK {
                        round.filter_all(scratch, left, codes, &mut lower);
                    }
                }
                round.filter_all(scratch, left, codes, &mut lower);
            },
        );
    }
}

impl Round<'_> {
    /// Updates one row by its bounds, or says that too little is known.
    fn keep_or_measure(&self, row: &[f32], code: &mut u16, lower: &mut [f32]) -> bool {
        let own = usize::from(*code);
        let quick = self.filter.quick(row, own);
        let upper = self.upper(quick);
        let size = self.filter.size();
        let mut found = [(own, quick); FEW + 1];
        let mut count = 1;
        let mut fallen = [0.0_f32; GROUPS];
        for (group, (fallen, &lower)) in fallen.iter_mut().zip(&*lower).enumerate() {
            *fallen = fall(lower, self.farthest[group]);
            if upper < *fallen {
                continue;
            }
            *fallen = f32::INFINITY;
            let first = group * self.group;
            let codes = first..(first + self.group).min(size);
            for (other, &moved) in codes.clone().zip(&self.moved[codes]) {
                let bound = fall(lower, moved);
                if upper < bound || other == own {
                    *fallen = if other == own { *fallen } else { fallen.min(bound) };
                } else if count <= FEW {
                    found[count].0 = other;
                    count += 1;
                } else {
                    return false;
                }
            }
        }
        let found = &mut found[..count];
        let mut best = (own, quick);
        for (other, distance) in &mut found[1..] {
            *distance = self.filter.quick(row, *other);
            if *distance < best.1 {
                best = (*other, *distance);
            }
        }
        if !best.1.is_finite() {
            return false;
        }
        // Those too near to the best to call, in the order of their codes.
        let limit = self.filter.quick_limit(best.1);
        let mut near: Vec<usize> = Vec::new();
        if found.iter().filter(|other| other.1 <= limit).count() > 1 {
            near.extend(found.iter().filter(|other| other.1 <= limit).map(|other| other.0));
            near.sort_unstable();
            best.0 = nearest_of(row, self.codebooks.levels()[0].words(), near);
        }
        for &(other, distance) in &*found {
            if other != best.0 {
                let bound = &mut fallen[other / self.group];
                *bound = bound.min(self.under(distance));
            }
        }
        *code = best.0 as u16;
        lower.copy_from_slice(&fallen[..lower.len()]);
        true
    }

    /// An upper bound of the distance whose square is about `quick`.
    fn upper(&self, quick: f32) -> f32 {
        (quick * (1.0 + self.error) + f32::MIN_POSITIVE * 16.0).sqrt() * (1.0 + 1e-6)
    }

    /// A lower bound of it.
    fn under(&self, quick: f32) -> f32 {
        // Infinite is what lies above the limits of f32; how far, nobody knows.
        (quick.min(f32::MAX) * (1.0 - self.error) - f32::MIN_POSITIVE * 16.0)
            .max(0.0)
            .sqrt()
            * (1.0 - 1e-6)
    }

    /// Assigns the rows in the scratch, whose places are `left`, which is empty then.
    fn filter_all(
        &self,
        scratch: &mut Scratch,
        left: &mut Vec<usize>,
        codes: &mut [u16],
        lower: &mut [&mut [f32]],
    ) {
        self.filter.bound(scratch, left.len());
        for (row, &place) in left.iter().enumerate() {
            let code = self.filter.nearest(scratch, row);
            codes[place] = code as u16;
            self.filter
                .lower_distances(scratch, row, code, self.group, lower[place]);
        }
        left.clear();
    }
}

/// A bound after a move.
fn fall(bound: f32, moved: f32) -> f32 {
    ((bound - moved) * DOWN).max(0.0)
}

/// Adds rows to sums in f64, one row after the other.
pub(crate) fn add_rows<'a>(sums: &mut [f64], mut rows: impl ExactSizeIterator<Item = &'a [f32]>) {
    let kernel = Kernel::best().floats();
    // Four at a time, so that sums are not loaded and stored for each, and rows are fetched side by side.
    while rows.len() >= 4 {
        let four = std::array::from_fn(|_| rows.next().unwrap_or_default());
        // SAFETY: the kernel came from `Kernel::floats`, so the CPU has its instructions.
        unsafe { (kernel.add_four)(sums, four) };
    }
    for row in rows {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
}
