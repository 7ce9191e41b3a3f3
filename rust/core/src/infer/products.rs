//! Inner products of rows with rows: every matrix product of inference.
//!
//! Both operands have their rows one after the other, as vectors of items and weights of layers are stored, so weights
//! are used where they lie in the mapped file. An inner product has the same bits in any batch.

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

/// Bytes of rows of `b` that stay in the first-level cache while all rows of `a` pass.
const BLOCK_BYTES: usize = 3 << 12;

/// Values of a cache line.
const LINE: usize = 16;

/// Operands of a product, and where it goes.
struct Operands<'a> {
    a: &'a [f32],
    b: &'a [f32],
    dim: usize,
    /// One row for each row of `a`, with `stride` values from row to row.
    out: &'a mut [f32],
    stride: usize,
}

/// Writes the inner product of row i of `a` and row j of `b` to `out[i * stride + j]`.
///
/// # Panics
///
/// If `dim` is zero, or the rows do not fit `out`.
pub(super) fn products(kernel: Kernel, a: &[f32], b: &[f32], dim: usize, out: &mut [f32], stride: usize) {
    let (rows, columns) = (a.len() / dim, b.len() / dim);
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(
        columns <= stride && (rows - 1) * stride + columns <= out.len(),
        "the products fit their place"
    );
    assert!(kernel.is_available(), "kernels are those of this CPU");
    let operands = Operands {
        a: &a[..rows * dim],
        b: &b[..columns * dim],
        dim,
        out,
        stride,
    };
    // SAFETY: the CPU has the instructions, and the lengths fit: both were asserted.
    unsafe {
        match kernel {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2(operands),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 | Kernel::Vnni => avx512(operands),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => multiply::<Neon>(operands),
            _ => multiply::<Portable>(operands),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2(operands: Operands<'_>) {
    // SAFETY: as for the caller.
    unsafe { multiply::<Avx2>(operands) };
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512(operands: Operands<'_>) {
    // SAFETY: as for the caller.
    unsafe { multiply::<Avx512>(operands) };
}

#[inline(always)]
unsafe fn multiply<V: Lanes>(operands: Operands<'_>) {
    let Operands {
        a,
        b,
        dim,
        out,
        stride,
    } = operands;
    let rows = a.len() / dim;
    // A multiple of the widths of tiles.
    let block = (BLOCK_BYTES / (4 * dim) / 12).max(1) * 12;
    for (number, b) in b.chunks(block * dim).enumerate() {
        let out = &mut out[number * block..];
        let mut row = 0;
        // As many sums as fit the registers of AVX2, with few loads for each. The first pass asks for the next block, since `b`
        // is read once, from memory, and CPUs look ahead on their own only within a page.
        // SAFETY: the caller has a CPU for V; the rows are there.
        unsafe {
            while row + 4 <= rows {
                let (a, out) = (&a[row * dim..], &mut out[row * stride..]);
                if row == 0 {
                    strip::<V, 4, 3, true>(a, b, dim, out, stride);
                } else {
                    strip::<V, 4, 3, false>(a, b, dim, out, stride);
                }
                row += 4;
            }
            if row + 2 <= rows {
                strip::<V, 2, 4, true>(&a[row * dim..], b, dim, &mut out[row * stride..], stride);
                row += 2;
            }
            if row < rows {
                strip::<V, 1, 4, true>(&a[row * dim..], b, dim, &mut out[row * stride..], stride);
            }
        }
    }
}

/// The products of `R` rows with all rows of `b`, `C` of them at a time. `AHEAD` asks for what follows them.
#[inline(always)]
unsafe fn strip<V: Lanes, const R: usize, const C: usize, const AHEAD: bool>(
    a: &[f32],
    b: &[f32],
    dim: usize,
    out: &mut [f32],
    stride: usize,
) {
    let columns = b.len() / dim;
    let mut column = 0;
    // SAFETY: the caller has a CPU for V; the rows are there.
    unsafe {
        while column + C <= columns {
            tile::<V, R, C, AHEAD>(a, &b[column * dim..], dim, &mut out[column..], stride);
            column += C;
        }
        while column < columns {
            tile::<V, R, 1, AHEAD>(a, &b[column * dim..], dim, &mut out[column..], stride);
            column += 1;
        }
    }
}

/// The products of `R` rows with `C` rows.
#[expect(
    clippy::manual_memcpy,
    clippy::needless_range_loop,
    reason = "indices are constants once loops are unrolled"
)]
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const C: usize, const AHEAD: bool>(
    a: &[f32],
    b: &[f32],
    dim: usize,
    out: &mut [f32],
    stride: usize,
) {
    let (a, b) = (&a[..R * dim], &b[..C * dim]);
    let whole = dim / V::N * V::N;
    // SAFETY: the caller has a CPU for V; loads are within the rows.
    unsafe {
        // Plain loops over constants: where a closure or an iterator took the address of the sums and was not inlined, these
        // would move from registers to memory.
        let mut sums = [[V::splat(0.0); R]; C];
        let mut start = 0;
        while start < whole {
            // With the sums and one row of `a`, these fill the registers.
            let mut right = [V::splat(0.0); C];
            for column in 0..C {
                let from = b.as_ptr().add(column * dim + start);
                right[column] = V::load(from);
                if AHEAD && start % LINE == 0 {
                    V::prefetch(from.wrapping_add(BLOCK_BYTES / 4));
                }
            }
            for row in 0..R {
                let left = V::load(a.as_ptr().add(row * dim + start));
                for column in 0..C {
                    sums[column][row] = sums[column][row].add_product(left, right[column]);
                }
            }
            start += V::N;
        }
        for column in 0..C {
            let mut four = [sums[column][0]; 4];
            for row in 1..R {
                four[row] = sums[column][row];
            }
            let totals = V::sums(four);
            for row in 0..R {
                let mut total = totals[row];
                for place in whole..dim {
                    total += a[row * dim + place] * b[column * dim + place];
                }
                out[row * stride + column] = total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn products_are_those_of_the_definition_in_any_batch() {
        let mut rng = Rng::new(5);
        for (rows, columns, dim) in [(1, 1, 1), (3, 4, 8), (5, 9, 33), (7, 300, 100), (4, 6, 256)] {
            let mut random =
                |count: usize| -> Vec<f32> { (0..count).map(|_| (rng.unit() - 0.5) as f32).collect() };
            let (a, b) = (random(rows * dim), random(columns * dim));
            let stride = columns + 3;
            for kernel in Kernel::available() {
                let mut found = vec![7.0; rows * stride];
                products(kernel, &a, &b, dim, &mut found, stride);
                for row in 0..rows {
                    let mut alone = vec![0.0; columns];
                    products(kernel, &a[row * dim..][..dim], &b, dim, &mut alone, columns);
                    for column in 0..columns {
                        let exact: f64 = (0..dim)
                            .map(|at| f64::from(a[row * dim + at]) * f64::from(b[column * dim + at]))
                            .sum();
                        let got = found[row * stride + column];
                        assert!((f64::from(got) - exact).abs() < 1e-5, "{kernel:?} {got} {exact}");
                        assert_eq!(got.to_bits(), alone[column].to_bits(), "{kernel:?}");
                    }
                    let rest = &found[row * stride + columns..(row + 1) * stride];
                    assert!(
                        rest.iter().all(|value| value.to_bits() == 7.0_f32.to_bits()),
                        "nothing else is written"
                    );
                }
            }
        }
    }
}
