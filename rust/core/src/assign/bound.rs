//! Error bounds of scores.
//!
//! Let r̄ = r − mean be a residual and c̄ a codeword, both exact, and r̂ and ĉ what the kernel multiplies. Then
//!
//! ```text
//! |r̄·c̄ − r̂·ĉ| ≤ ‖r̄ − r̂‖ ‖c̄‖ + ‖r̂‖ ‖c̄ − ĉ‖ ≤ (‖r̄ − r̂‖ + coarseness ‖r̂‖) ‖c̄‖
//! ```
//!
//! by Cauchy and Schwarz, with both differences measured, not estimated. A sum of `dim` products in f32 adds at most
//! `dim · 2⁻²⁴ ‖r̂‖ ‖ĉ‖` (twice that where products are rounded too; none for bytes, whose sums are exact), and the few other roundings are
//! each under `2⁻²⁴ ‖c̄‖ (‖r̄‖ + longest)`. All of it has the form `spread · reach`, where `spread` belongs to the row
//! and `reach = ‖c̄‖` to the codeword. So kernels compute `lower = score − spread · reach`, and a code can only be the nearest if
//!
//! ```text
//! lower ≤ best.lower + 2 · spread · best.reach + slack
//! ```
//!
//! for any code `best`. The slack covers the rounding of the definition itself, which is in f64: relative to a distance
//! of at most `(‖r̄‖ + longest)²` it is under `(dim + 2) · 2⁻⁵³`. What lies below the limits of f32 is far smaller still,
//! since residuals and codebooks beyond the safe sizes never come here.

use super::packed::Packed;

/// Measures of a prepared row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measure {
    /// The largest coordinate of r̄.
    pub(super) largest: f32,
    /// ‖r̄‖².
    pub(super) square: f32,
    /// ‖r̄ − r̂‖², without the rounding of the subtraction of the mean.
    pub(super) error: f32,
    /// Scale of bytes; 0 for floats.
    pub(super) scale: f32,
    /// The sum of the bytes, times −128: what the codewords' bytes are too high by.
    pub(super) offset: i32,
}

/// Constants of the decision for a row at one level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    pub(super) spread: f32,
    /// In scores, so half of what it is in distances.
    pub(super) slack: f64,
    /// ‖r̄‖², up to rounding in f32.
    pub(super) square: f64,
    /// True if the filter says anything about this row.
    pub(super) safe: bool,
}

impl Bound {
    /// `roundings` is how often a product and its addition are rounded together: 0 for bytes, 1 or 2 for floats.
    pub(super) fn new(measure: &Measure, packed: &Packed, dim: usize, roundings: u32) -> Self {
        // The sums behind the measures are f32 sums of at least four lanes and at most 2¹⁵ dimensions in bytes; for
        // floats only the norm counts, and a part in 512 is beyond what its sum can lose up to 2¹⁷ dimensions.
        let norm = f64::from(measure.square).sqrt() * (1.0 + 1.0 / 512.0);
        let error = f64::from(measure.error).sqrt() * (1.0 + 1.0 / 512.0) + norm * UNIT;
        let size = norm + f64::from(packed.longest);
        let sums = f64::from(roundings) * (dim + 1) as f64 * UNIT * (norm + error);
        let spread = error + f64::from(packed.coarseness) * (norm + error) + sums + 32.0 * UNIT * size;
        Self {
            spread: (spread as f32).next_up(),
            slack: (dim + 8) as f64 * f64::EPSILON * size * size + f64::from(f32::MIN_POSITIVE),
            square: f64::from(measure.square),
            safe: dim <= LARGEST_DIM && packed.is_safe(measure.largest),
        }
    }

    /// The limit that no nearest code's lower bound exceeds, given any code's lower bound and reach.
    pub(super) fn limit(&self, lower: f32, reach: f32) -> f32 {
        let limit = f64::from(lower) + 2.0 * f64::from(self.spread) * f64::from(reach) + self.slack;
        (limit as f32).next_up()
    }
}

/// The unit roundoff of f32.
pub(super) const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Beyond this dimension the definition itself decides.
pub(super) const LARGEST_DIM: usize = 1 << 17;
