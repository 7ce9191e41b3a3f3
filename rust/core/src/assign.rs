//! Greedy residual-quantization assignment: which codeword, level after level.
//!
//! For a row x and codebooks `C_0..C_{L-1}`, all f32: `r_0 = x`; `code_l` is the k with the least `‖r_l − C_l[k]‖²`, evaluated in
//! f64 in index order, lowest k on a tie; `r_{l+1} = r_l − C_l[code_l]`, elementwise in f32.
//!
//! A residual may overflow f32 where a row and a codeword are huge and of opposite signs. The definition covers it:
//! the distances to an infinite residual are all infinite, a tie, so every further code is 0.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codebook::{Codebook, Codebooks};
use crate::{Error, Result, pool};

/// Rows that one task takes: enough to make a task worth handing out.
const BLOCK: usize = 64;

/// Multiplications under which a call is not worth a second thread.
const INLINE: usize = 1 << 20;

/// Writes the codes of `rows` (`n × dim`) to `codes` (`n × levels`), on up to `threads` threads (0: all).
///
/// # Errors
///
/// [`Error::Length`] if a buffer does not fit the codebooks or the other, and [`Error::NotFinite`] with the first row
/// that holds NaN or infinity; then `codes` holds nothing of use.
pub fn assign(rows: &[f32], codebooks: &Codebooks, codes: &mut [u16], threads: usize) -> Result<()> {
    let (dim, levels) = (codebooks.dim(), codebooks.levels().len());
    let count = rows.len() / dim;
    Error::check_length("rows", rows.len(), count * dim)?;
    Error::check_length("codes", codes.len(), count * levels)?;
    let first_bad = AtomicUsize::new(usize::MAX);
    let words: usize = codebooks.levels().iter().map(|level| level.words().len()).sum();
    let threads = if count.saturating_mul(words) < INLINE {
        1
    } else {
        threads
    };
    let blocks = rows.chunks(BLOCK * dim).zip(codes.chunks_mut(BLOCK * levels));
    pool::for_each_with(
        threads,
        blocks.enumerate(),
        || vec![0.0; dim],
        |residual, (block, (rows, codes))| {
            for (i, (row, codes)) in rows
                .chunks_exact(dim)
                .zip(codes.chunks_exact_mut(levels))
                .enumerate()
            {
                if !row.iter().all(|value| value.is_finite()) {
                    first_bad.fetch_min(block * BLOCK + i, Ordering::Relaxed);
                    break;
                }
                residual.copy_from_slice(row);
                assign_row(residual, codebooks, codes);
            }
        },
    );
    match first_bad.into_inner() {
        usize::MAX => Ok(()),
        row => Err(Error::NotFinite { what: "x", row }),
    }
}

/// The definition itself, for one row, which becomes the last residual.
fn assign_row(residual: &mut [f32], codebooks: &Codebooks, codes: &mut [u16]) {
    for (level, code) in codebooks.levels().iter().zip(codes) {
        let nearest = nearest(residual, level);
        *code = nearest as u16;
        for (value, &word) in residual.iter_mut().zip(level.word(nearest)) {
            *value -= word;
        }
    }
}

/// The code of the nearest codeword, the lowest of equals.
fn nearest(residual: &[f32], level: &Codebook) -> usize {
    let mut best = (f64::INFINITY, 0);
    for (code, word) in level.words().chunks_exact(residual.len()).enumerate() {
        let distance = distance(residual, word);
        if distance < best.0 {
            best = (distance, code);
        }
    }
    best.1
}

/// The squared distance that decides: differences, squares and sum in f64, in index order.
#[must_use]
pub fn distance(residual: &[f32], word: &[f32]) -> f64 {
    residual
        .iter()
        .zip(word)
        .map(|(&value, &word)| {
            let difference = f64::from(value) - f64::from(word);
            difference * difference
        })
        .fold(0.0, |sum, square| sum + square)
}
