//! Codewords laid out for the kernels, with the constants of the error bounds.
//!
//! Distances do not change when codewords and residual move together, so both are taken relative to the mean of the
//! codewords, which makes numbers, and with them rounding errors, small. With c̄ = c − mean and r̄ = r − mean,
//!
//! ```text
//! ‖r − c‖² = ‖r̄‖² + 2 score,   score = ‖c̄‖² / 2 − r̄·c̄
//! ```
//!
//! and the code of the least score is the nearest. Kernels compute lower bounds of scores; see `bound`.

use super::kernel::Precision;

/// Codewords of one panel: what a kernel holds in registers at a time.
pub(super) const CODES: usize = 32;

/// The largest dimension for which a sum of products of bytes fits an i32.
const LARGEST_INT8_DIM: usize = 1 << 15;

/// Beyond these sizes f32 products could overflow or lose their low bits, and the definition itself decides.
pub(super) const SAFE: std::ops::RangeInclusive<f64> = 1e-12..=1e12;

/// A codeword this near the mean is taken to be the mean: the slack of every bound is larger, see `bound`.
const NOTHING: f64 = 1e-30;

/// Four dimensions of a panel's codewords in f32, on a cache line.
#[derive(Clone)]
#[repr(C, align(64))]
pub(super) struct FloatQuad(pub(super) [[f32; CODES]; 4]);

/// Four dimensions of a panel's codewords in bytes, 128 higher than the rounded value, on a cache line.
#[derive(Clone)]
#[repr(C, align(64))]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only x86 has a kernel of bytes")
)]
pub(super) struct ByteQuad(pub(super) [[u8; 4]; CODES]);

/// The codewords in the precision of the kernel: panel after panel, quad after quad.
#[derive(Clone)]
pub(super) enum Panels {
    Float(Vec<FloatQuad>),
    /// Bytes, and each codeword's factor from bytes to values.
    Bytes(
        #[cfg_attr(
            not(target_arch = "x86_64"),
            allow(dead_code, reason = "only x86 has a kernel of bytes")
        )]
        Vec<ByteQuad>,
        Vec<f32>,
    ),
}

/// Codewords of one level in the layout of a kernel.
#[derive(Clone)]
pub(crate) struct Packed {
    /// Dimensions in groups of four, the last filled up with zeros.
    pub(super) quads: usize,
    /// Origin of codewords and residuals; `16 ⌈dim / 16⌉` values.
    pub(super) mean: Vec<f32>,
    /// ‖c̄‖² / 2 of each codeword, infinite for those that fill up the last panel.
    pub(super) bias: Vec<f32>,
    /// ‖c̄‖ of each codeword, rounded up.
    pub(super) reach: Vec<f32>,
    /// The largest `reach`.
    pub(super) longest: f32,
    /// The largest ratio of a codeword's rounding error, as a vector, to its `reach`.
    pub(super) coarseness: f32,
    pub(super) panels: Panels,
    /// True if the filter can be trusted with codewords of this size.
    pub(super) safe: bool,
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed")
            .field("quads", &self.quads)
            .finish_non_exhaustive()
    }
}

impl Packed {
    pub(crate) fn new(dim: usize, words: &[f32], precision: Precision) -> Self {
        let size = words.len() / dim;
        let quads = dim.div_ceil(4);
        let mean = mean(dim, words);
        let centered = centered(dim, words, &mean);
        let norms: Vec<f64> = centered.iter().map(|word| norm(word)).collect();
        let padded = size.next_multiple_of(CODES);
        let mut bias = vec![f32::INFINITY; padded];
        let mut reach = vec![0.0; padded];
        for (code, norm) in norms.iter().enumerate() {
            bias[code] = (norm * norm / 2.0) as f32;
            reach[code] = (norm * (1.0 + 1e-6)) as f32;
        }
        let longest = norms.iter().copied().fold(0.0, f64::max);
        let safe = longest == 0.0 || SAFE.contains(&longest);
        let (panels, coarseness) = match precision {
            Precision::Bytes if dim <= LARGEST_INT8_DIM && safe => bytes(quads, &centered, &norms),
            _ => (Panels::Float(floats(quads, &centered)), 1e-7),
        };
        Self {
            quads,
            mean,
            bias,
            reach,
            longest: (longest * (1.0 + 1e-6)) as f32,
            coarseness,
            panels,
            safe,
        }
    }

    /// Codes with those that fill up the last panel.
    pub(super) fn padded_size(&self) -> usize {
        self.bias.len()
    }

    /// True if the filter can be trusted with a residual whose largest coordinate, relative to the mean, is this.
    pub(super) fn is_safe(&self, largest: f32) -> bool {
        self.safe && (largest == 0.0 || SAFE.contains(&f64::from(largest)))
    }
}

/// The mean of the codewords, with zeros up to a multiple of 16.
pub(super) fn mean(dim: usize, words: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0_f64; dim.next_multiple_of(16)];
    for word in words.chunks_exact(dim) {
        for (sum, &value) in sums.iter_mut().zip(word) {
            *sum += f64::from(value);
        }
    }
    let size = (words.len() / dim) as f64;
    sums.iter().map(|&sum| (sum / size) as f32).collect()
}

/// The codewords relative to a mean.
pub(super) fn centered(dim: usize, words: &[f32], mean: &[f32]) -> Vec<Vec<f64>> {
    let relative = |word: &[f32]| {
        let pairs = word.iter().zip(mean);
        pairs
            .map(|(&value, &mean)| f64::from(value) - f64::from(mean))
            .collect()
    };
    words.chunks_exact(dim).map(relative).collect()
}

pub(super) fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}

pub(super) fn floats(quads: usize, centered: &[Vec<f64>]) -> Vec<FloatQuad> {
    let mut panels = vec![FloatQuad([[0.0; CODES]; 4]); centered.len().div_ceil(CODES) * quads];
    for (code, word) in centered.iter().enumerate() {
        for (d, &value) in word.iter().enumerate() {
            panels[code / CODES * quads + d / 4].0[d % 4][code % CODES] = value as f32;
        }
    }
    panels
}

fn bytes(quads: usize, centered: &[Vec<f64>], norms: &[f64]) -> (Panels, f32) {
    let mut panels = vec![ByteQuad([[128; 4]; CODES]); centered.len().div_ceil(CODES) * quads];
    let mut scales = vec![0.0; centered.len().next_multiple_of(CODES)];
    let mut coarseness = 0.0_f64;
    for (code, (word, &norm_)) in centered.iter().zip(norms).enumerate() {
        let largest = word
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        if largest < NOTHING {
            continue;
        }
        // The factor the kernel uses is the one the errors are measured with.
        let scale = (largest / 127.0) as f32;
        scales[code] = scale;
        let mut errors = Vec::with_capacity(word.len());
        for (d, &value) in word.iter().enumerate() {
            let rounded = (value / f64::from(scale)).round().clamp(-127.0, 127.0);
            errors.push(value - rounded * f64::from(scale));
            panels[code / CODES * quads + d / 4].0[code % CODES][d % 4] =
                (rounded as i8).cast_unsigned() ^ 0x80;
        }
        coarseness = coarseness.max(norm(&errors) / norm_);
    }
    (
        Panels::Bytes(panels, scales),
        (coarseness * (1.0 + 1e-6)) as f32 + 1e-9,
    )
}
