//! The codebooks of a residual quantizer.

use std::sync::OnceLock;

use crate::assign::Kernel;
use crate::assign::cross::Cross;
use crate::assign::packed::Packed;
use crate::{Error, Result};

/// The most codewords that one level can have, since codes are `u16`.
pub const MAX_CODES: usize = 1 << 16;

/// The codebooks of all levels: at least one level, each with 1 to [`MAX_CODES`] finite codewords of one dimension.
///
/// Made once and shared: what can be computed ahead (norms, the kernel's layout) is stored with the codewords.
#[derive(Clone, Debug)]
pub struct Codebooks {
    dim: usize,
    kernel: Kernel,
    levels: Vec<Codebook>,
    /// Made when a beam first pays for it.
    cross: OnceLock<Cross>,
}

/// The codewords of one level.
#[derive(Clone, Debug)]
pub struct Codebook {
    dim: usize,
    /// `size × dim`, row after row; all finite.
    words: Vec<f32>,
    /// Squared Euclidean norms, one a codeword, summed in f64 in index order.
    norms: Vec<f64>,
    packed: Packed,
}

impl Codebooks {
    /// Takes the codewords of every level, each `(codes, dim)` row after row.
    ///
    /// # Errors
    ///
    /// [`Error::Range`] for no level, a zero `dim`, or a level without codewords or with more than [`MAX_CODES`];
    /// [`Error::Length`] for a level that is no whole number of codewords; [`Error::NotFinite`] for NaN or infinity.
    pub fn new(dim: usize, levels: Vec<Vec<f32>>) -> Result<Self> {
        Self::with_kernel(dim, levels, Kernel::best())
    }

    /// As [`Codebooks::new`], for a kernel that is not this CPU's fastest. The codes are the same.
    ///
    /// # Errors
    ///
    /// Those of [`Codebooks::new`], and [`Error::Kernel`] if this CPU cannot run the kernel.
    pub fn with_kernel(dim: usize, levels: Vec<Vec<f32>>, kernel: Kernel) -> Result<Self> {
        if !kernel.is_available() {
            return Err(Error::Kernel { name: kernel.name() });
        }
        Error::check_range("levels", levels.len(), 1, usize::MAX)?;
        let levels = levels
            .into_iter()
            .map(|words| Codebook::new(dim, words, kernel))
            .collect::<Result<_>>()?;
        Ok(Self {
            dim,
            kernel,
            levels,
            cross: OnceLock::new(),
        })
    }

    /// Instruction set of the assignment.
    #[must_use]
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Width of a codeword.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The codebooks, first level first.
    #[must_use]
    pub fn levels(&self) -> &[Codebook] {
        &self.levels
    }

    /// Makes the tables that speed up beams now, not in the first call that is large enough; none where they would be too large.
    ///
    /// The codes are the same with them and without.
    pub fn prepare_beam(&self) {
        self.cross(usize::MAX);
    }

    /// The cross tables, if they are there, or are worth making for this many prefixes.
    pub(crate) fn cross(&self, prefixes: usize) -> Option<&Cross> {
        let pays = || Cross::fits(&self.levels) && prefixes > Cross::pays_after(&self.levels);
        if self.cross.get().is_none() && pays() {
            // Made outside of the cell, so that nobody waits for it, neither a thread of the pool nor a process after a fork; the
            // first to be done wins.
            let made = Cross::new(self.dim, &self.levels, self.kernel);
            let _ = self.cross.set(made);
        }
        self.cross.get()
    }

    /// The sums of the codewords that `codes` (`n × levels`) name, level after level in f32.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if a buffer does not fit the other; [`Error::TokenRange`] for a code that its level does not have.
    pub fn decode(&self, codes: &[u16], rows: &mut [f32]) -> Result<()> {
        let count = codes.len() / self.levels.len();
        Error::check_length("codes", codes.len(), count * self.levels.len())?;
        Error::check_length("rows", rows.len(), count * self.dim)?;
        self.check_codes(codes)?;
        for (row, codes) in rows
            .chunks_exact_mut(self.dim)
            .zip(codes.chunks_exact(self.levels.len()))
        {
            row.fill(0.0);
            for (&code, level) in codes.iter().zip(&self.levels) {
                for (sum, &value) in row.iter_mut().zip(level.word(usize::from(code))) {
                    *sum += value;
                }
            }
        }
        Ok(())
    }

    fn check_codes(&self, codes: &[u16]) -> Result<()> {
        for (row, codes) in codes.chunks_exact(self.levels.len()).enumerate() {
            for (level, (&code, codebook)) in codes.iter().zip(&self.levels).enumerate() {
                if usize::from(code) >= codebook.size() {
                    let (token, size) = (i64::from(code), codebook.size() as u32);
                    return Err(Error::TokenRange {
                        row,
                        level,
                        token,
                        size,
                    });
                }
            }
        }
        Ok(())
    }
}

impl Codebook {
    fn new(dim: usize, words: Vec<f32>, kernel: Kernel) -> Result<Self> {
        Error::check_range("dim", dim, 1, usize::MAX)?;
        let size = words.len() / dim;
        Error::check_length("codebook", words.len(), size * dim)?;
        Error::check_range("codes", size, 1, MAX_CODES)?;
        Error::check_finite("codebook", dim, &words)?;
        let norms = words
            .chunks_exact(dim)
            .map(|word| {
                word.iter()
                    .map(|&value| f64::from(value) * f64::from(value))
                    .sum()
            })
            .collect();
        let packed = Packed::new(dim, &words, kernel.precision());
        Ok(Self {
            dim,
            words,
            norms,
            packed,
        })
    }

    /// Number of codewords.
    #[must_use]
    pub fn size(&self) -> usize {
        self.norms.len()
    }

    /// All codewords, `size × dim`.
    #[must_use]
    pub fn words(&self) -> &[f32] {
        &self.words
    }

    /// The codeword of a code.
    ///
    /// # Panics
    ///
    /// If there is no such code.
    #[must_use]
    pub fn word(&self, code: usize) -> &[f32] {
        &self.words[code * self.dim..][..self.dim]
    }

    pub(crate) fn packed(&self) -> &Packed {
        &self.packed
    }

    /// The squared Euclidean norms of the codewords.
    #[must_use]
    pub fn norms(&self) -> &[f64] {
        &self.norms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(dim: usize, levels: Vec<Vec<f32>>) -> String {
        Codebooks::new(dim, levels).unwrap_err().to_string()
    }

    #[test]
    fn bad_codebooks_are_named() {
        assert_eq!(
            error(2, vec![]),
            "`levels` is out of range: expected at least 1, got 0"
        );
        assert_eq!(
            error(0, vec![vec![]]),
            "`dim` is out of range: expected at least 1, got 0"
        );
        assert_eq!(
            error(2, vec![vec![]]),
            "`codes` is out of range: expected 1 to 65536, got 0"
        );
        assert_eq!(
            error(1, vec![vec![0.0; MAX_CODES + 1]]),
            "`codes` is out of range: expected 1 to 65536, got 65537"
        );
        assert_eq!(
            error(2, vec![vec![0.0; 5]]),
            "`codebook` has the wrong length: expected 4 elements for its shape, got 5"
        );
        assert!(
            error(2, vec![vec![0.0, 1.0, f32::NAN, 0.0]])
                .starts_with("row 1 of `codebook` is invalid: expected finite values")
        );
    }

    #[test]
    fn decoding_adds_the_codewords() {
        let codebooks = Codebooks::new(2, vec![vec![1.0, 2.0, 3.0, 4.0], vec![10.0, 20.0]]).unwrap();
        let mut rows = vec![0.0; 4];
        codebooks.decode(&[1, 0, 0, 0], &mut rows).unwrap();
        assert_eq!(rows, vec![13.0, 24.0, 11.0, 22.0]);
        let error = codebooks.decode(&[0, 1, 0, 0], &mut rows).unwrap_err();
        let expected = "row 0, level 1: the token is out of range: expected less than 1, got 1";
        assert_eq!(error.to_string(), expected);
    }
}
