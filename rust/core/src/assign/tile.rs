//! The kernels in f32, generic over the vectors of the CPU.

#![expect(
    clippy::inline_always,
    reason = "without it, the operations would be calls of their own, outside the kernel's instruction set"
)]

use super::bound::Measure;
use super::packed::{CODES, FloatQuad};
use crate::simd::Lanes;

/// Rows that a kernel takes at a time.
pub(super) const ROWS: usize = 12;

/// Four dimensions of a tile's rows in f32, relative to the mean.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct FloatRows(pub(super) [[f32; 4]; ROWS]);

/// Terms of the lower bounds of a panel besides the products.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) bias: &'a [f32; CODES],
    pub(super) reach: &'a [f32; CODES],
    /// Factors from bytes to values; unused in f32.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "only x86 has a kernel of bytes")
    )]
    pub(super) scales: &'a [f32; CODES],
}

/// Terms that are nothing.
pub(super) const NO_TERMS: [f32; CODES] = [0.0; CODES];

/// The rows of a tile, as the kernel of bounds needs them.
#[derive(Clone, Copy, Default)]
pub(super) struct RowTerms {
    pub(super) spread: [f32; ROWS],
    pub(super) scale: [f32; ROWS],
    pub(super) offset: [i32; ROWS],
}

/// Lower bounds of a tile's scores: for each row, `stride` values.
pub(super) struct Lower<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) stride: usize,
    /// Where in each row the panel's values go.
    pub(super) column: usize,
}

/// Row `row` of the tile becomes the residual relative to the mean. Both are padded with zeros to a multiple of 16.
#[inline(always)]
pub(super) unsafe fn prepare<V: Lanes>(
    residual: &[f32],
    mean: &[f32],
    tile: &mut [FloatRows],
    row: usize,
) -> Measure {
    let mut largest = [0.0; 16];
    let mut square = [0.0; 16];
    // SAFETY: the caller has a CPU for V, and every load and store is of V::N of the 16 elements of its array.
    unsafe {
        let (mut largest_, mut square_) = (V::splat(0.0), V::splat(0.0));
        for ((residual, mean), quads) in residual
            .as_chunks::<16>()
            .0
            .iter()
            .zip(mean.as_chunks::<16>().0)
            .zip(tile.chunks_mut(4))
        {
            let mut values = [0.0_f32; 16];
            for lane in (0..16).step_by(V::N) {
                let value = V::load(residual.as_ptr().add(lane)).sub(V::load(mean.as_ptr().add(lane)));
                largest_ = largest_.max_abs(value);
                square_ = square_.add_product(value, value);
                value.store(values.as_mut_ptr().add(lane));
            }
            for (quad, values) in quads.iter_mut().zip(values.as_chunks::<4>().0) {
                quad.0[row] = *values;
            }
        }
        largest_.store(largest.as_mut_ptr());
        square_.store(square.as_mut_ptr());
    }
    Measure {
        largest: reduce(largest, |a, b| if b > a { b } else { a }),
        square: reduce(square, |a, b| a + b),
        ..Measure::default()
    }
}

/// Lower bounds for the first `rows` rows of a tile and one panel, in steps of R rows and S vectors of codewords.
#[inline(always)]
pub(super) unsafe fn scores<V: Lanes, const R: usize, const S: usize>(
    tile: &[FloatRows],
    panel: &[FloatQuad],
    terms: Terms<'_>,
    row_terms: &RowTerms,
    rows: usize,
    lower: &mut Lower<'_>,
) {
    for first in (0..rows).step_by(R) {
        for column in (0..CODES).step_by(S * V::N) {
            // SAFETY: the caller has a CPU for V; R divides ROWS and S · V::N divides CODES, so all places exist.
            unsafe {
                let products = products::<V, R, S>(tile, panel, first, column);
                finish(products, terms, row_terms, first, column, lower);
            }
        }
    }
}

#[inline(always)]
unsafe fn products<V: Lanes, const R: usize, const S: usize>(
    tile: &[FloatRows],
    panel: &[FloatQuad],
    first: usize,
    column: usize,
) -> [[V; S]; R] {
    // SAFETY: as in `scores`.
    unsafe {
        let mut sums = [[V::splat(0.0); S]; R];
        for (rows, codes) in tile.iter().zip(panel) {
            for j in 0..4 {
                let mut words = [V::splat(0.0); S];
                for (s, word) in words.iter_mut().enumerate() {
                    *word = V::load(codes.0[j].as_ptr().add(column + s * V::N));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let value = V::splat(rows.0.get_unchecked(first + r)[j]);
                    for (sum, &word) in sums.iter_mut().zip(&words) {
                        *sum = sum.add_product(value, word);
                    }
                }
            }
        }
        sums
    }
}

#[inline(always)]
unsafe fn finish<V: Lanes, const R: usize, const S: usize>(
    products: [[V; S]; R],
    terms: Terms<'_>,
    row_terms: &RowTerms,
    first: usize,
    column: usize,
    lower: &mut Lower<'_>,
) {
    for (r, products) in products.into_iter().enumerate() {
        let place = (first + r) * lower.stride + lower.column + column;
        let target = &mut lower.values[place..place + S * V::N];
        // SAFETY: as in `scores`; `target` was checked to have S · V::N elements.
        unsafe {
            let spread = V::splat(row_terms.spread[first + r]);
            for (s, product) in products.into_iter().enumerate() {
                let bias = V::load(terms.bias.as_ptr().add(column + s * V::N));
                let reach = V::load(terms.reach.as_ptr().add(column + s * V::N));
                bias.sub(product)
                    .sub_product(spread, reach)
                    .store(target.as_mut_ptr().add(s * V::N));
            }
        }
    }
}

/// The least of values, whose number is a multiple of [`CODES`].
#[inline(always)]
pub(super) unsafe fn least<V: Lanes>(values: &[f32]) -> f32 {
    let mut lanes = [f32::INFINITY; 16];
    // SAFETY: the caller has a CPU for V; V::N divides CODES, and `lanes` has 16 ≥ V::N elements.
    unsafe {
        let mut least = [V::splat(f32::INFINITY); 2];
        for values in values.as_chunks::<CODES>().0 {
            for lane in (0..CODES).step_by(2 * V::N) {
                least[0] = least[0].min(V::load(values.as_ptr().add(lane)));
                least[1] = least[1].min(V::load(values.as_ptr().add(lane + V::N)));
            }
        }
        least[0].min(least[1]).store(lanes.as_mut_ptr());
    }
    reduce(lanes, |a, b| if b < a { b } else { a })
}

/// The places of the values that are at most `limit`, in order, after what `places` holds.
#[inline(always)]
pub(super) unsafe fn at_most<V: Lanes>(values: &[f32], limit: f32, places: &mut Vec<u32>) {
    for (chunk, values) in values.as_chunks::<CODES>().0.iter().enumerate() {
        let mut mask = 0_u32;
        // SAFETY: as in `least`.
        unsafe {
            let limit = V::splat(limit);
            for lane in (0..CODES).step_by(V::N) {
                mask |= V::load(values.as_ptr().add(lane)).at_most(limit) << lane;
            }
        }
        while mask != 0 {
            places.push((chunk * CODES) as u32 + mask.trailing_zeros());
            mask &= mask - 1;
        }
    }
}

/// The sums of `start` and the same places of `base` and of all `tables`, all of one length, a multiple of [`CODES`]; and in each
/// of as many lanes the least of them and of what `minima` holds.
#[inline(always)]
pub(super) unsafe fn extend<V: Lanes>(
    base: &[f32],
    tables: &[&[f32]],
    start: f32,
    target: &mut [f32],
    minima: &mut [f32; CODES],
) {
    // SAFETY: as for this function.
    unsafe {
        // For the counts of a short search, the compiler unrolls the loop over tables.
        match *tables {
            [] => sums::<V>(base, &[], start, target, minima),
            [a] => sums::<V>(base, &[a], start, target, minima),
            [a, b] => sums::<V>(base, &[a, b], start, target, minima),
            [a, b, c] => sums::<V>(base, &[a, b, c], start, target, minima),
            _ => sums::<V>(base, tables, start, target, minima),
        }
    }
}

#[inline(always)]
unsafe fn sums<V: Lanes>(
    base: &[f32],
    tables: &[&[f32]],
    start: f32,
    target: &mut [f32],
    minima: &mut [f32; CODES],
) {
    let count = base.len();
    assert!(
        count.is_multiple_of(CODES)
            && target.len() == count
            && tables.iter().all(|table| table.len() == count)
    );
    // SAFETY: the caller has a CPU for V; V::N divides CODES, which divides the length of every slice.
    unsafe {
        let start = V::splat(start);
        let mut least = [start; CODES / 4];
        let least = &mut least[..CODES / V::N];
        for (lane, least) in least.iter_mut().enumerate() {
            *least = V::load(minima.as_ptr().add(lane * V::N));
        }
        for column in (0..count).step_by(CODES) {
            for (lane, least) in least.iter_mut().enumerate() {
                let place = column + lane * V::N;
                let mut sum = V::load(base.as_ptr().add(place));
                for table in tables {
                    sum = sum.add(V::load(table.as_ptr().add(place)));
                }
                let sum = sum.add(start);
                *least = least.min(sum);
                sum.store(target.as_mut_ptr().add(place));
            }
        }
        for (lane, least) in least.iter().enumerate() {
            least.store(minima.as_mut_ptr().add(lane * V::N));
        }
    }
}

/// The products, in f64, of one vector and as many as `target` holds, given coordinate by coordinate.
#[inline(always)]
pub(super) fn all_products(word: &[f64], columns: &[f64], sums: &mut [f64], target: &mut [f32]) {
    let count = target.len();
    let sums = &mut sums[..count];
    sums.fill(0.0);
    // Four coordinates at a time, so that sums are not loaded and stored for each.
    let (fours, rest) = word.as_chunks::<4>();
    for (four, columns) in fours.iter().zip(columns.chunks_exact(4 * count)) {
        let (a, columns) = columns.split_at(count);
        let (b, columns) = columns.split_at(count);
        let (c, d) = columns.split_at(count);
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += four[0] * a + four[1] * b + four[2] * c + four[3] * d;
        }
    }
    let rest_columns = columns[fours.len() * 4 * count..].chunks_exact(count);
    for (value, column) in rest.iter().zip(rest_columns) {
        for (sum, &other) in sums.iter_mut().zip(column) {
            *sum += value * other;
        }
    }
    for (target, &sum) in target.iter_mut().zip(&*sums) {
        *target = sum as f32;
    }
}

/// A squared distance, summed in any order: within [`quick_error`] of the truth. All padded to a multiple of 16 or cut
/// at `residual`'s length.
#[inline(always)]
pub(super) unsafe fn quick_distance<V: Lanes>(residual: &[f32], word: &[f32]) -> f32 {
    let (residuals, residual_rest) = residual.as_chunks::<16>();
    let (words, word_rest) = word.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    // SAFETY: the caller has a CPU for V; V::N divides 16.
    unsafe {
        // Four sums, since one alone would wait for itself.
        let mut sums = [V::splat(0.0); 4];
        for (residuals, words) in residuals.chunks(4).zip(words.chunks(4)) {
            for (i, (residual, word)) in residuals.iter().zip(words).enumerate() {
                for lane in (0..16).step_by(V::N) {
                    let difference =
                        V::load(residual.as_ptr().add(lane)).sub(V::load(word.as_ptr().add(lane)));
                    let sum = &mut sums[(i * 16 + lane) / V::N % 4];
                    *sum = sum.add_product(difference, difference);
                }
            }
        }
        sums[0]
            .add(sums[1])
            .add(sums[2].add(sums[3]))
            .store(lanes.as_mut_ptr());
    }
    let rest: f32 = residual_rest
        .iter()
        .zip(word_rest)
        .map(|(a, b)| (a - b) * (a - b))
        .sum();
    reduce(lanes, |a, b| a + b) + rest
}

/// One number out of sixteen, by halves, which vectorizes.
#[inline(always)]
fn reduce(mut lanes: [f32; 16], operation: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = operation(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// The relative error of [`quick_distance`], beside what is under the limits of f32.
pub(super) fn quick_error(dim: usize) -> f32 {
    (dim / 16 * 2 + 96) as f32 * f32::EPSILON
}
