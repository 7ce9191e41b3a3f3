//! The kernel in bytes, for AVX-512 with VNNI: four products a lane in one instruction, four times the work of f32.

#![allow(
    clippy::wildcard_imports,
    reason = "intrinsics; clippy itself lets them pass in test builds"
)]

use std::arch::x86_64::*;

use super::bound::Measure;
use super::packed::ByteQuad;
use super::tile::{Lower, ROWS, RowTerms, Terms};

/// Four dimensions of a tile's rows, rounded to bytes, in one i32 a row.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct ByteRows(pub(super) [i32; ROWS]);

/// Row `row` of the tile becomes the residual relative to the mean, rounded to bytes. Residual and mean are padded with zeros to
/// a multiple of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn prepare(residual: &[f32], mean: &[f32], tile: &mut [ByteRows], row: usize) -> Measure {
    let (residual, mean) = (residual.as_chunks::<16>().0, mean.as_chunks::<16>().0);
    let mut largest = _mm512_setzero_ps();
    for (residual, mean) in residual.iter().zip(mean) {
        largest = _mm512_max_ps(largest, _mm512_abs_ps(difference(residual, mean)));
    }
    let largest = _mm512_reduce_max_ps(largest);
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    // Where this overflows, the row is not safe and its bytes are not looked at.
    let inverse = _mm512_set1_ps(1.0 / scale);
    let scales = _mm512_set1_ps(scale);
    let (mut square, mut error) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let mut sum = _mm512_setzero_si512();
    for ((residual, mean), quads) in residual.iter().zip(mean).zip(tile.chunks_mut(4)) {
        let value = difference(residual, mean);
        let rounded = _mm512_cvtps_epi32(_mm512_mul_ps(value, inverse));
        let lost = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(rounded), scales, value);
        square = _mm512_fmadd_ps(value, value, square);
        error = _mm512_fmadd_ps(lost, lost, error);
        sum = _mm512_add_epi32(sum, rounded);
        let bytes = _mm512_cvtsepi32_epi8(rounded);
        let bytes = [
            _mm_extract_epi32::<0>(bytes),
            _mm_extract_epi32::<1>(bytes),
            _mm_extract_epi32::<2>(bytes),
            _mm_extract_epi32::<3>(bytes),
        ];
        for (quad, bytes) in quads.iter_mut().zip(bytes) {
            quad.0[row] = bytes;
        }
    }
    Measure {
        largest,
        square: _mm512_reduce_add_ps(square),
        error: _mm512_reduce_add_ps(error),
        scale,
        offset: _mm512_reduce_add_epi32(sum).wrapping_mul(-128),
    }
}

#[target_feature(enable = "avx512f")]
fn difference(residual: &[f32; 16], mean: &[f32; 16]) -> __m512 {
    _mm512_sub_ps(load(residual), load(mean))
}

#[target_feature(enable = "avx512f")]
fn load(values: &[f32; 16]) -> __m512 {
    // SAFETY: there are 16 values; no alignment is asked for.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

/// Lower bounds for the first `rows` rows of a tile and one panel.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) fn scores(
    tile: &[ByteRows],
    panel: &[ByteQuad],
    terms: Terms<'_>,
    row_terms: &RowTerms,
    rows: usize,
    lower: &mut Lower<'_>,
) {
    match rows {
        1 => step::<1>(tile, panel, terms, row_terms, lower),
        2..=4 => step::<4>(tile, panel, terms, row_terms, lower),
        _ => step::<ROWS>(tile, panel, terms, row_terms, lower),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
fn step<const R: usize>(
    tile: &[ByteRows],
    panel: &[ByteQuad],
    terms: Terms<'_>,
    row_terms: &RowTerms,
    lower: &mut Lower<'_>,
) {
    let mut sums = [[_mm512_setzero_si512(); 2]; R];
    for (sums, &offset) in sums.iter_mut().zip(&row_terms.offset) {
        *sums = [_mm512_set1_epi32(offset); 2];
    }
    for (rows, codes) in tile.iter().zip(panel) {
        let (left, right) = codes.0.split_at(16);
        // SAFETY: each half is 16 · 4 bytes.
        let words = unsafe {
            [
                _mm512_loadu_si512(left.as_ptr().cast()),
                _mm512_loadu_si512(right.as_ptr().cast()),
            ]
        };
        for (sums, &row) in sums.iter_mut().zip(&rows.0) {
            let row = _mm512_set1_epi32(row);
            sums[0] = _mm512_dpbusd_epi32(sums[0], words[0], row);
            sums[1] = _mm512_dpbusd_epi32(sums[1], words[1], row);
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        let place = r * lower.stride + lower.column;
        let target = &mut lower.values[place..place + 32];
        let (scale, spread) = (
            _mm512_set1_ps(row_terms.scale[r]),
            _mm512_set1_ps(row_terms.spread[r]),
        );
        for (half, sum) in sums.into_iter().enumerate() {
            let term = |terms: &[f32; 32]| load(terms[half * 16..].first_chunk().expect("two halves"));
            let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), term(terms.scales));
            let score = _mm512_fnmadd_ps(scale, product, term(terms.bias));
            let bound = _mm512_fnmadd_ps(spread, term(terms.reach), score);
            // SAFETY: `target` has 32 elements.
            unsafe { _mm512_storeu_ps(target[half * 16..].as_mut_ptr(), bound) };
        }
    }
}
