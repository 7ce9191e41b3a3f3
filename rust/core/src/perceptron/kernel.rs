//! A tile of rows against a panel of outputs, for every instruction set.

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

/// Outputs of a panel.
pub(super) const PANEL: usize = 32;

/// Rows that a kernel takes at most.
pub(super) const ROWS: usize = 12;

/// Weights of one input for the outputs of a panel, on one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Panel(pub(super) [f32; PANEL]);

impl Panel {
    pub(super) const ZERO: Self = Self([0.0; PANEL]);
}

/// Rows as a layer reads them.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    pub(super) rows: &'a [f32],
    /// Stride of the rows.
    pub(super) stride: usize,
    /// 1 to [`ROWS`].
    pub(super) count: usize,
}

/// Writes what `panel`, one entry an input, and `bias` make of the tile's rows to `target`, whose rows have the same stride.
///
/// # Safety
///
/// The CPU must have the kernel's instructions; each of the tile's rows must have as many values as `panel`, and each of
/// the target's a panel's.
pub(super) type Multiply = unsafe fn(Tile<'_>, &[Panel], &Panel, &mut [f32]);

/// The routine of a kernel. Panics if it is not available, which is what makes calling it sound.
pub(super) fn of(kernel: Kernel) -> Multiply {
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

/// As many rows as fit the registers beside the vectors of a step, then one at a time.
macro_rules! kernel {
    ($name:ident, $lanes:ty, $rows:literal x $vectors:literal, ($($features:tt)*)) => {
        $($features)*
        unsafe fn $name(tile: Tile<'_>, panel: &[Panel], bias: &Panel, target: &mut [f32]) {
            let mut row = 0;
            // SAFETY: the caller promises the CPU's features and the lengths; the rows are below `count`.
            unsafe {
                while row + $rows <= tile.count {
                    multiply::<$lanes, $rows, $vectors>(tile, row, panel, bias, target);
                    row += $rows;
                }
                while row < tile.count {
                    multiply::<$lanes, 1, $vectors>(tile, row, panel, bias, target);
                    row += 1;
                }
            }
        }
    };
}

kernel!(portable, Portable, 4 x 2, ());

#[cfg(target_arch = "x86_64")]
kernel!(avx2, Avx2, 6 x 2, (#[target_feature(enable = "avx2,fma")]));

#[cfg(target_arch = "x86_64")]
kernel!(avx512, Avx512, 12 x 2, (#[target_feature(enable = "avx512f,avx2,fma")]));

#[cfg(target_arch = "aarch64")]
kernel!(neon, Neon, 6 x 4, ());

/// `R` rows from `first` on, `S` vectors of outputs at a time.
#[inline(always)]
unsafe fn multiply<V: Lanes, const R: usize, const S: usize>(
    tile: Tile<'_>,
    first: usize,
    panel: &[Panel],
    bias: &Panel,
    target: &mut [f32],
) {
    // SAFETY: the caller has a CPU for V. Loads of weights are of V::N of a panel's 32 values; rows and target are as long as
    // the caller of the kernel promises.
    unsafe {
        let rows = tile.rows.as_ptr().add(first * tile.stride);
        let target = target.as_mut_ptr().add(first * tile.stride);
        for lane in (0..PANEL).step_by(S * V::N) {
            let mut sums = [[V::splat(0.0); S]; R];
            for sums in &mut sums {
                for (s, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(bias.0.as_ptr().add(lane + s * V::N));
                }
            }
            for (input, weights) in panel.iter().enumerate() {
                let mut vectors = [V::splat(0.0); S];
                for (s, vector) in vectors.iter_mut().enumerate() {
                    *vector = V::load(weights.0.as_ptr().add(lane + s * V::N));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let value = V::splat(*rows.add(r * tile.stride + input));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = sum.add_product_exactly(value, vector);
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (s, sum) in sums.iter().enumerate() {
                    sum.store(target.add(r * tile.stride + lane + s * V::N));
                }
            }
        }
    }
}
