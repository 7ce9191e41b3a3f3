//! Cross tables: what beam search needs to hold a prefix against codewords without its residual.
//!
//! With c̄ the codewords, those of the first level relative to their mean m, and x̄ = x − m,
//!
//! ```text
//! ½ ‖x − c_0 − … − c_l‖² = ½ ‖x̄‖² + score_l
//! score_l = score_{l−1} + (½ ‖c̄_l‖² − x̄·c̄_l) + c̄_0·c̄_l + … + c̄_{l−1}·c̄_l
//! ```
//!
//! The bracket depends on the row alone, not on the prefix: one product of the row with all codewords of all levels. The
//! rest are numbers known before any row comes. So a prefix costs one addition a level and code, whatever the dimension.
//!
//! # How far a score may be from the truth
//!
//! Let u = 2⁻²⁴, X ≥ ‖x̂‖ the norm of the rounded x̄, `N_j` the largest ‖c̄‖ of level j and A their sum up to level l. No sum on the
//! way exceeds Q = ½A² + XA. Level j adds j + 2 numbers, each addition rounds by at most uQ, and there are n of them
//! up to level l. Rounding ½‖c̄‖² and the table entries costs ½uA² in all; the products cost `(roundings · (dim + 1) + 4) u XA`,
//! with the roundings of x̄ and of c̄ to f32 among them. The definition measures the f32 residual r, which every subtraction moves by at
//! most u‖r‖ ≤ u(X + A): l of them change half a squared distance by l u (X + A)². Its own f64 sum adds (dim + 8) 2⁻⁵² (X + A)².
//! A hundredth more covers products of these errors. Twice the sum of it all is what two scores must differ by to be
//! in the order of their distances.

use crate::codebook::Codebook;

use super::bound::{LARGEST_DIM, UNIT};
use super::kernel::Kernel;
use super::packed::{CODES, FloatQuad, SAFE, centered, floats, mean, norm};

/// The most bytes of tables: more than that would have to come from memory, and products are faster.
const MOST_BYTES: usize = 8 << 20;

/// The tables of all levels, and the codewords laid out for the one product.
#[derive(Clone)]
pub(crate) struct Cross {
    /// Origin of the rows; `16 ⌈dim / 16⌉` values.
    pub(super) mean: Vec<f32>,
    pub(super) quads: usize,
    pub(super) levels: Vec<CrossLevel>,
    /// Codes of all levels together, each level filled up to whole panels.
    pub(super) columns: usize,
    dim: usize,
    /// True if scores say anything about codewords of this size.
    safe: bool,
}

/// One level of the tables.
#[derive(Clone)]
pub(super) struct CrossLevel {
    /// Where the level's codes begin among all columns.
    pub(super) first: usize,
    /// Codes with those that fill up the last panel.
    pub(super) padded: usize,
    pub(super) panels: Vec<FloatQuad>,
    /// ½‖c̄‖² of each codeword, infinite for those that fill up the last panel.
    pub(super) bias: Vec<f32>,
    /// For each earlier level, its codes × `padded`: the products of their codewords and this level's.
    tables: Vec<Vec<f32>>,
    /// The largest ‖c̄‖ of this level and of those before it, added up.
    reach: f64,
    /// Additions up to this level.
    additions: f64,
}

impl std::fmt::Debug for Cross {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cross")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Cross {
    /// True if tables for these codebooks are small enough to be of use.
    pub(crate) fn fits(levels: &[Codebook]) -> bool {
        let entries = pairs(levels).fold(0_usize, |sum, (a, b)| {
            sum.saturating_add(a.saturating_mul(b.next_multiple_of(CODES)))
        });
        entries <= MOST_BYTES / size_of::<f32>()
    }

    /// Number of extended prefixes from which on the tables cost less than the products they save.
    pub(crate) fn pays_after(levels: &[Codebook]) -> usize {
        let products: usize = pairs(levels).map(|(a, b)| a * b).sum();
        let sizes: usize = levels.iter().map(Codebook::size).sum();
        2 * products / sizes
    }

    pub(crate) fn new(dim: usize, levels: &[Codebook], kernel: Kernel) -> Self {
        let kernel = kernel.floats();
        let mean = mean(dim, levels[0].words());
        let nothing = vec![0.0; mean.len()];
        let mut before: Vec<Vec<Vec<f64>>> = Vec::with_capacity(levels.len());
        let mut made = Vec::with_capacity(levels.len());
        let quads = dim.div_ceil(4);
        let (mut columns, mut reach, mut additions) = (0, 0.0, 0.0);
        let mut safe = dim <= LARGEST_DIM;
        for (place, level) in levels.iter().enumerate() {
            let words = centered(dim, level.words(), if place == 0 { &mean } else { &nothing });
            let padded = level.size().next_multiple_of(CODES);
            let norms: Vec<f64> = words.iter().map(|word| norm(word)).collect();
            let longest = norms.iter().copied().fold(0.0, f64::max);
            safe &= longest == 0.0 || SAFE.contains(&longest);
            reach += longest * (1.0 + 1e-6);
            additions += (place + 2) as f64;
            let mut bias = vec![f32::INFINITY; padded];
            for (bias, norm) in bias.iter_mut().zip(&norms) {
                *bias = (norm * norm / 2.0) as f32;
            }
            let mut columns_of = vec![0.0; dim * padded];
            for (code, word) in words.iter().enumerate() {
                for (d, &value) in word.iter().enumerate() {
                    columns_of[d * padded + code] = value;
                }
            }
            let tables = before.iter().map(|earlier| {
                let mut table = vec![0.0; earlier.len() * padded];
                let mut sums = vec![0.0; padded];
                for (word, target) in earlier.iter().zip(table.chunks_exact_mut(padded)) {
                    // SAFETY: the kernel came from `Kernel::floats`, so the CPU has its instructions.
                    unsafe { (kernel.all_products)(word, &columns_of, &mut sums, target) };
                }
                table
            });
            made.push(CrossLevel {
                first: columns,
                padded,
                panels: floats(quads, &words),
                bias,
                tables: tables.collect(),
                reach,
                additions,
            });
            columns += padded;
            before.push(words);
        }
        Self {
            mean,
            quads,
            levels: made,
            columns,
            dim,
            safe,
        }
    }

    /// True if scores say anything about a row whose largest coordinate, relative to the mean, is this.
    pub(super) fn is_safe(&self, largest: f32) -> bool {
        self.safe && (largest == 0.0 || SAFE.contains(&f64::from(largest)))
    }

    /// Minimum difference of two scores of a level that implies the order of their distances, for a row of this
    /// squared norm. `roundings` is how often a product and its addition are rounded together.
    pub(super) fn margin(&self, level: usize, square: f32, roundings: u32) -> f64 {
        // A part in 512 is beyond what an f32 sum of squares can lose up to 2¹⁷ dimensions in at least four lanes.
        let x = f64::from(square).sqrt() * (1.0 + 1.0 / 512.0);
        let CrossLevel { reach, additions, .. } = self.levels[level];
        let (product, size) = (x * reach, (x + reach) * (x + reach));
        let products = f64::from(roundings) * (self.dim + 1) as f64 + 4.0;
        let scores = additions * (reach * reach / 2.0 + product) + reach * reach / 2.0 + products * product;
        let residual = level as f64 * size;
        let definition = (self.dim + 8) as f64 * f64::EPSILON * size;
        2.0 * (1.01 * UNIT * (scores + residual) + definition + 1e-30)
    }
}

impl CrossLevel {
    /// The products of one codeword of an earlier level and all of this one.
    pub(super) fn table(&self, earlier: usize, code: usize) -> &[f32] {
        &self.tables[earlier][code * self.padded..][..self.padded]
    }
}

/// The sizes of every two levels, the earlier first.
fn pairs(levels: &[Codebook]) -> impl Iterator<Item = (usize, usize)> {
    levels.iter().enumerate().flat_map(|(place, level)| {
        levels[..place]
            .iter()
            .map(|earlier| (earlier.size(), level.size()))
    })
}

#[cfg(test)]
mod tests {
    use crate::Codebooks;

    #[test]
    fn tables_are_made_where_they_pay_and_fit() {
        let level = |size: usize| (0..size).map(|code| code as f32).collect::<Vec<_>>();
        let small = Codebooks::new(1, vec![level(40); 3]).unwrap();
        assert!(small.cross(1).is_none());
        assert!(small.cross(1000).is_some());
        // Made once, they serve every call.
        assert!(small.cross(1).is_some());
        let large = Codebooks::new(1, vec![level(2048); 2]).unwrap();
        assert!(large.cross(usize::MAX).is_none());
    }
}
