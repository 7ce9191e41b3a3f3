//! Which codes may come next, written into the caller's buffer.

use super::Trie;
use super::columns::{Digit, Next, with_digits};
use super::keys::Keys;
use super::walk::{Span, States};
use crate::error::{Error, Result};

/// The eight booleans of each byte, lowest bit first.
static SPREAD: [[bool; 8]; 256] = spread();

const fn spread() -> [[bool; 8]; 256] {
    let mut table = [[false; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte][bit] = byte >> bit & 1 == 1;
            bit += 1;
        }
        byte += 1;
    }
    table
}

impl Trie {
    /// Marks the codes that lead on from each state: `out` is (states, size of the next level), row by row. The row of a
    /// dead state is all `false`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another size, [`Error::Complete`] at the last level.
    pub fn allowed(&self, states: &States, out: &mut [bool]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        check_out(states.len() * size, out.len())?;
        let mut words = vec![0; size.div_ceil(64)];
        for (&span, row) in states.spans.iter().zip(out.chunks_exact_mut(size)) {
            if let Keys::Fast(keys) = &self.keys
                && let Next::Run(column) = keys.next(states.depth, span)
            {
                row.fill(false);
                with_digits!(column, digits => {
                    for digit in &digits[span.lo as usize..span.hi as usize] {
                        row[usize::from(digit.code())] = true;
                    }
                });
            } else {
                self.allowed_bits(states.depth, span, &mut words);
                let mut bytes = words.iter().flat_map(|word| word.to_le_bytes());
                let (eights, rest) = row.as_chunks_mut::<8>();
                for (eight, byte) in eights.iter_mut().zip(&mut bytes) {
                    *eight = SPREAD[usize::from(byte)];
                }
                let last = SPREAD[usize::from(bytes.next().unwrap_or(0))];
                rest.copy_from_slice(&last[..rest.len()]);
            }
        }
        Ok(())
    }

    /// As [`Trie::allowed`], one bit a code: `out` is (states, ⌈size / 32⌉) words, code `c` in bit `c % 32` of word `c / 32`, which
    /// is the layout of xgrammar's and vLLM's bitmasks. Bits beyond the last code are 0.
    ///
    /// # Errors
    /// As [`Trie::allowed`].
    pub fn bitmask(&self, states: &States, out: &mut [i32]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        let width = size.div_ceil(32);
        check_out(states.len() * width, out.len())?;
        let mut words = vec![0; size.div_ceil(64)];
        for (&span, row) in states.spans.iter().zip(out.chunks_exact_mut(width)) {
            self.allowed_bits(states.depth, span, &mut words);
            for (&word, halves) in words.iter().zip(row.chunks_mut(2)) {
                for (half, shift) in halves.iter_mut().zip([0, 32]) {
                    *half = ((word >> shift) as u32).cast_signed();
                }
            }
        }
        Ok(())
    }

    /// Sets the logits of codes that lead nowhere to −∞ and leaves the others: `logits` is (states, size of the next level).
    ///
    /// # Errors
    /// As [`Trie::allowed`].
    pub fn mask_logits(&self, states: &States, logits: &mut [f32]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        check_out(states.len() * size, logits.len())?;
        let mut words = vec![0; size.div_ceil(64)];
        for (&span, row) in states.spans.iter().zip(logits.chunks_exact_mut(size)) {
            self.allowed_bits(states.depth, span, &mut words);
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            for (byte, row) in bytes.zip(row.chunks_mut(8)) {
                for (logit, &allowed) in row.iter_mut().zip(&SPREAD[usize::from(byte)]) {
                    *logit = if allowed { *logit } else { f32::NEG_INFINITY };
                }
            }
        }
        Ok(())
    }

    /// The codes that lead on from a state, as the bits of words.
    pub(super) fn allowed_bits(&self, depth: usize, span: Span, words: &mut [u64]) {
        words.fill(0);
        self.keys.allowed_bits(depth, span, words);
    }
}

fn check_out(expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Length {
            what: "out",
            expected,
            got,
        })
    }
}
