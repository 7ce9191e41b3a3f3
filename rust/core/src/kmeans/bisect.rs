//! A start for k-means: the means of parts of the data, which are cut in two again and again.
//!
//! Residuals are nearly isotropic clouds in hundreds of dimensions. A single row, as k-means++ draws it, lies far outside
//! of such a cloud; as a centroid it catches few rows, and leaves most to the one centroid near the middle. Means of parts
//! lie where the rows are, and so share them evenly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::assign::distance;
use crate::rng::Rng;
use crate::{Result, pool};

use super::init::dot;
use super::{Options, Watch, keep_going, row};

/// Rows per code that are looked at.
pub(super) const SAMPLE: usize = 256;

/// Rows whose sums are taken together. What a block adds up to does not depend on the threads.
const BLOCK: usize = 256;

/// Steps of the power iteration that finds a part's principal direction, roughly.
const STEPS: usize = 8;

/// The rows of `count` that are looked at, in order.
pub(super) fn sample(count: usize, codebook_size: usize, rng: &mut Rng) -> Vec<usize> {
    let most = codebook_size.saturating_mul(SAMPLE);
    if count <= most {
        return (0..count).collect();
    }
    let mut places = rng.sample(count, most);
    places.sort_unstable();
    places
}

/// Moves `rng` behind the draws of [`sample`].
pub(super) fn skip_sample(count: usize, codebook_size: usize, rng: &mut Rng) {
    let most = codebook_size.saturating_mul(SAMPLE);
    if count > most {
        rng.skip_sample(most);
    }
}

/// The means, `codes × dim`, of as many parts of `rows`, those that [`sample`] chose. Always the part with the largest squared
/// error is cut, at its mean and across its principal direction.
pub(super) fn centroids(
    rows: &[f32],
    dim: usize,
    options: &Options,
    rng: &mut Rng,
    watch: Watch<'_>,
) -> Result<Vec<f32>> {
    let count = rows.len() / dim;
    let data = Data {
        rows,
        dim,
        threads: options.threads,
    };
    let everything = (0..data.rows.len() / dim).map(|place| place as u32).collect();
    let mut parts = vec![data.part(everything)];
    // Errors are no less than 0, so that their bits are in their order.
    let mut worst = BinaryHeap::from([(parts[0].error.to_bits(), Reverse(0))]);
    while parts.len() < options.codebook_size {
        keep_going(watch)?;
        let Some((_, Reverse(place))) = worst.pop().filter(|&(error, _)| error > 0) else {
            break;
        };
        let (left, right) = data.cut(&parts[place], rng);
        worst.push((left.error.to_bits(), Reverse(place)));
        worst.push((right.error.to_bits(), Reverse(parts.len())));
        parts[place] = left;
        parts.push(right);
    }
    let mut means: Vec<f32> = parts.into_iter().flat_map(|part| part.mean).collect();
    while means.len() < options.codebook_size * dim {
        // Every different row has its centroid already; what these leave empty is restarted.
        means.extend_from_slice(row(rows, dim, rng.below(count)));
    }
    Ok(means)
}

/// Some of the rows.
struct Part {
    members: Vec<u32>,
    mean: Vec<f32>,
    /// The sum of the squared distances to the mean.
    error: f64,
}

/// A part that can be split.
struct Data<'a> {
    rows: &'a [f32],
    dim: usize,
    threads: usize,
}

impl Data<'_> {
    fn part(&self, members: Vec<u32>) -> Part {
        let sums = self.sum(&members, self.dim, |members, sums| {
            for &member in members {
                for (sum, &value) in sums.iter_mut().zip(self.row(member)) {
                    *sum += f64::from(value);
                }
            }
        });
        let mean: Vec<f32> = sums
            .iter()
            .map(|sum| (sum / members.len() as f64) as f32)
            .collect();
        let errors = self.sum(&members, 1, |members, sum| {
            sum[0] = members
                .iter()
                .map(|&member| distance(self.row(member), &mean))
                .sum();
        });
        let error = if members.len() > 1 { errors[0] } else { 0.0 };
        Part { members, mean, error }
    }

    fn cut(&self, part: &Part, rng: &mut Rng) -> (Part, Part) {
        let mut direction: Vec<f32> = (0..self.dim).map(|_| (2.0 * rng.unit() - 1.0) as f32).collect();
        for _ in 0..STEPS {
            direction = self.turned(part, &direction);
        }
        let mut behind = vec![false; part.members.len()];
        let blocks = part.members.chunks(BLOCK).zip(behind.chunks_mut(BLOCK));
        pool::for_each_with(
            self.threads_for(part.members.len()),
            blocks,
            || vec![0.0; self.dim],
            |centred, (members, behind)| {
                for (&member, behind) in members.iter().zip(behind) {
                    subtract(self.row(member), &part.mean, centred);
                    *behind = dot(centred, &direction) < 0.0;
                }
            },
        );
        let side = |wanted: bool| -> Vec<u32> {
            let members = part.members.iter().zip(&behind);
            members
                .filter_map(|(&member, &behind)| (behind == wanted).then_some(member))
                .collect()
        };
        let (mut left, mut right) = (side(true), side(false));
        if left.is_empty() || right.is_empty() {
            // Rounding, among rows that are all but equal.
            let (first, second) = part.members.split_at(part.members.len() / 2);
            (left, right) = (first.to_vec(), second.to_vec());
        }
        (self.part(left), self.part(right))
    }

    /// The direction after a step of the power iteration on a part's covariance, of length 1.
    fn turned(&self, part: &Part, direction: &[f32]) -> Vec<f32> {
        let sums = self.sum(&part.members, self.dim, |members, sums| {
            let (mut centred, mut quick) = (vec![0.0; self.dim], vec![0.0; self.dim]);
            for &member in members {
                subtract(self.row(member), &part.mean, &mut centred);
                let projection = dot(&centred, direction);
                for (sum, &value) in quick.iter_mut().zip(&centred) {
                    *sum += projection * value;
                }
            }
            for (sum, &value) in sums.iter_mut().zip(&quick) {
                *sum = f64::from(value);
            }
        });
        let length = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return direction.to_vec();
        }
        sums.iter().map(|sum| (sum / length) as f32).collect()
    }

    /// Adds up, `width` numbers wide, what `work` makes of each block of the members.
    fn sum(&self, members: &[u32], width: usize, work: impl Fn(&[u32], &mut [f64]) + Sync) -> Vec<f64> {
        let mut parts = vec![0.0; members.len().div_ceil(BLOCK) * width];
        let blocks = members.chunks(BLOCK).zip(parts.chunks_mut(width));
        pool::for_each(
            self.threads_for(members.len()),
            blocks,
            |(members, sums): (&[u32], &mut [f64])| work(members, sums),
        );
        let mut total = vec![0.0; width];
        for sums in parts.chunks_exact(width) {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        total
    }

    /// One thread for what one block holds.
    fn threads_for(&self, members: usize) -> usize {
        if members > BLOCK { self.threads } else { 1 }
    }

    fn row(&self, member: u32) -> &[f32] {
        row(self.rows, self.dim, member as usize)
    }
}

fn subtract(row: &[f32], mean: &[f32], difference: &mut [f32]) {
    for ((target, &value), &mean) in difference.iter_mut().zip(row).zip(mean) {
        *target = value - mean;
    }
}
