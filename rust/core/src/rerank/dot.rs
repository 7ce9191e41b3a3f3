//! Dot products of one row with many, the same bits for every instruction set.

#![expect(
    clippy::inline_always,
    reason = "without it, the loops would be calls of their own, outside the kernel's instruction set"
)]

use crate::assign::Kernel;
#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Lanes, Portable};

/// Partial sums of a dot product; rows are padded with zeros to a multiple of it.
pub(super) const SUMS: usize = 32;

/// Writes the dot products of a row with each of `rows`, which follow each other, one for each place of the results.
///
/// # Safety
///
/// The CPU must have the kernel's instructions; the length of the row must be a multiple of [`SUMS`], and `rows` must
/// hold as many rows of that length as there are results.
pub(super) type Dots = unsafe fn(&[f32], &[f32], &mut [f32]);

/// The routine of a kernel. Panics if it is not available, which is what makes calling it sound.
pub(super) fn of(kernel: Kernel) -> Dots {
    assert!(
        kernel.is_available(),
        "the CPU lacks what kernel {} needs",
        kernel.name()
    );
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => avx2,
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx512 | Kernel::Vnni => avx512,
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => neon,
        _ => portable,
    }
}

/// As many rows as fit the registers, then one at a time.
macro_rules! kernel {
    ($name:ident, $lanes:ty, $rows:literal x $vectors:literal, ($($features:tt)*)) => {
        $($features)*
        unsafe fn $name(row: &[f32], rows: &[f32], results: &mut [f32]) {
            // SAFETY: the caller promises the CPU's features and the lengths.
            unsafe { dots::<$lanes, $rows, $vectors>(row, rows, results) };
        }
    };
}

kernel!(portable, Portable, 1 x 8, ());

#[cfg(target_arch = "x86_64")]
kernel!(avx2, Avx2, 2 x 4, (#[target_feature(enable = "avx2,fma")]));

#[cfg(target_arch = "x86_64")]
kernel!(avx512, Avx512, 4 x 2, (#[target_feature(enable = "avx512f,avx2,fma")]));

#[cfg(target_arch = "aarch64")]
kernel!(neon, Neon, 2 x 8, ());

#[inline(always)]
unsafe fn dots<V: Lanes, const R: usize, const S: usize>(row: &[f32], rows: &[f32], results: &mut [f32]) {
    let (stride, whole) = (row.len(), results.len() / R * R);
    for first in (0..whole).step_by(R) {
        // SAFETY: the caller has a CPU for V, and `first + R` rows are there.
        let sums = unsafe { several::<V, R, S>(row, &rows[first * stride..]) };
        for (result, sums) in results[first..].iter_mut().zip(sums) {
            *result = folded(sums);
        }
    }
    for place in whole..results.len() {
        // SAFETY: as above, for one row.
        let [sums] = unsafe { several::<V, 1, S>(row, &rows[place * stride..]) };
        results[place] = folded(sums);
    }
}

/// The partial sums of a row with `R` others. `S` vectors have [`SUMS`] lanes.
#[inline(always)]
unsafe fn several<V: Lanes, const R: usize, const S: usize>(row: &[f32], rows: &[f32]) -> [[f32; SUMS]; R] {
    const { assert!(S * V::N == SUMS) };
    let mut stored = [[0.0; SUMS]; R];
    // SAFETY: the caller has a CPU for V; loads are within the row and within `R` rows of its length.
    unsafe {
        let mut sums = [[V::splat(0.0); S]; R];
        for start in (0..row.len()).step_by(SUMS) {
            let mut vectors = [V::splat(0.0); S];
            for (s, vector) in vectors.iter_mut().enumerate() {
                *vector = V::load(row.as_ptr().add(start + s * V::N));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let other = rows.as_ptr().add(r * row.len() + start);
                for (s, (sum, vector)) in sums.iter_mut().zip(vectors).enumerate() {
                    *sum = sum.add_product_exactly(vector, V::load(other.add(s * V::N)));
                }
            }
        }
        for (stored, sums) in stored.iter_mut().zip(sums) {
            for (s, sum) in sums.into_iter().enumerate() {
                sum.store(stored.as_mut_ptr().add(s * V::N));
            }
        }
    }
    stored
}

/// The sum of partial sums, added in pairs.
#[inline(always)]
fn folded(sums: [f32; SUMS]) -> f32 {
    let sixteen: [f32; 16] = std::array::from_fn(|l| sums[l] + sums[l + 16]);
    let eight: [f32; 8] = std::array::from_fn(|l| sixteen[l] + sixteen[l + 8]);
    let four: [f32; 4] = std::array::from_fn(|l| eight[l] + eight[l + 4]);
    let two: [f32; 2] = std::array::from_fn(|l| four[l] + four[l + 2]);
    two[0] + two[1]
}

/// The cosine of two vectors as this module defines it, computed as slowly and simply as possible.
///
/// # Panics
///
/// If the vectors have different lengths.
#[must_use]
pub fn cosine(v: &[f32], w: &[f32]) -> f64 {
    assert_eq!(v.len(), w.len(), "vectors of one catalogue have one length");
    f64::from(plain(v, w)) * inverse_norm(plain(v, v)) * inverse_norm(plain(w, w))
}

fn plain(v: &[f32], w: &[f32]) -> f32 {
    let mut sums = [0.0; SUMS];
    for (place, (&a, &b)) in v.iter().zip(w).enumerate() {
        let sum = &mut sums[place % SUMS];
        *sum = a.mul_add(b, *sum);
    }
    folded(sums)
}

/// The inverse length of a vector, from its squared length; 0 for a zero vector.
pub(super) fn inverse_norm(square: f32) -> f64 {
    if square == 0.0 {
        return 0.0;
    }
    1.0 / f64::from(square).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn every_kernel_gives_the_bits_of_the_definition() {
        let mut rng = Rng::new(3);
        for (dim, count) in [(1, 1), (15, 3), (16, 8), (17, 9), (384, 21)] {
            let stride = usize::next_multiple_of(dim, SUMS);
            let mut rows = vec![0.0; (count + 1) * stride];
            for row in rows.chunks_exact_mut(stride) {
                row[..dim].fill_with(|| (rng.unit() - 0.5) as f32);
            }
            let (row, others) = rows.split_at(stride);
            let expected: Vec<u32> = others
                .chunks_exact(stride)
                .map(|other| plain(&row[..dim], &other[..dim]).to_bits())
                .collect();
            for kernel in Kernel::available() {
                let mut found = vec![0.0; count];
                // SAFETY: `of` gives out kernels of this CPU; the rows have the stride, as many as results.
                unsafe { of(kernel)(row, others, &mut found) };
                let found: Vec<u32> = found.into_iter().map(f32::to_bits).collect();
                assert_eq!(found, expected, "{kernel:?}, dim {dim}");
            }
        }
    }

    #[test]
    fn a_zero_vector_is_similar_to_nothing() {
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 2.0]).to_bits(), 0);
        assert!((cosine(&[3.0, 4.0], &[6.0, 8.0]) - 1.0).abs() < 1e-12);
    }
}
