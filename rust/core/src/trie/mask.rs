//! Which tokens may come next, written into the caller's buffer.

use super::Trie;
use super::columns::{Token, with_tokens};
use super::keys::Keys;
use super::level::Next;
use super::walk::{Span, States};
use crate::error::{Error, Result};
use crate::guard::Steps;

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
    /// Marks the tokens that lead on from each state: `out` is (states, size of the next level), row by row. The row of a
    /// dead state is all `false`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another size, [`Error::Complete`] at the last level.
    pub fn allowed(&self, states: &States, out: &mut [bool]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        check_out(states.len() * size, out.len())?;
        let mut words = vec![0; size.div_ceil(64)];
        let level = match &self.keys {
            Keys::Fast(keys) => Some(keys.level(states.depth)),
            Keys::Compact(_) => None,
        };
        let mut steps = Steps::default();
        for (&span, row) in states.spans.iter().zip(out.chunks_exact_mut(size)) {
            steps.step();
            if let Some(Next::Run(column, span)) = level.map(|level| level.next(span)) {
                row.fill(false);
                with_tokens!(column, tokens => {
                    for token in &tokens[span.lo as usize..span.hi as usize] {
                        row[usize::from(token.code())] = true;
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

    /// As [`Trie::allowed`], one bit a token: `out` is (states, ⌈size / 32⌉) words, token `c` in bit `c % 32` of word `c / 32`, which
    /// is the layout of xgrammar's and vLLM's bitmasks. Bits beyond the last token are 0.
    ///
    /// # Errors
    /// As [`Trie::allowed`].
    pub fn bitmask(&self, states: &States, out: &mut [i32]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        let width = size.div_ceil(32);
        check_out(states.len() * width, out.len())?;
        self.for_each_row(states, out.chunks_exact_mut(width), put_bits);
        Ok(())
    }

    /// Sets the logits of tokens that lead nowhere to −∞ and leaves the others: `logits` is (states, size of the next level).
    ///
    /// # Errors
    /// As [`Trie::allowed`].
    pub fn mask_logits(&self, states: &States, logits: &mut [f32]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        check_out(states.len() * size, logits.len())?;
        self.for_each_row(states, logits.chunks_exact_mut(size), |words, row| {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            for (byte, row) in bytes.zip(row.chunks_mut(8)) {
                for (logit, &allowed) in row.iter_mut().zip(&SPREAD[usize::from(byte)]) {
                    *logit = if allowed { *logit } else { f32::NEG_INFINITY };
                }
            }
        });
        Ok(())
    }

    /// Hands `write` the bits of the tokens that lead on from each state together with that state's row.
    fn for_each_row<R>(&self, states: &States, mut rows: impl Iterator<Item = R>, write: impl Fn(&[u64], R)) {
        // So many states ask for their memory together.
        const TOGETHER: usize = 16;
        let mut words = vec![0; self.layout.sizes()[states.depth].div_ceil(64) as usize];
        let mut steps = Steps::default();
        let Keys::Fast(keys) = &self.keys else {
            for (&span, row) in states.spans.iter().zip(rows) {
                steps.step();
                self.allowed_bits(states.depth, span, &mut words);
                write(&words, row);
            }
            return;
        };
        let level = keys.level(states.depth);
        let mut nexts = [Next::Nothing; TOGETHER];
        for spans in states.spans.chunks(TOGETHER) {
            steps.step();
            for (&span, next) in spans.iter().zip(&mut nexts) {
                *next = level.next(span);
                next.prefetch();
            }
            for (&next, row) in nexts[..spans.len()].iter().zip(&mut rows) {
                if let Next::Bitmap(bits) = next {
                    write(bits, row);
                } else {
                    words.fill(0);
                    level.set_bits(next, &mut words);
                    write(&words, row);
                }
            }
        }
    }

    /// The tokens that lead on from a state, as the bits of words.
    pub(super) fn allowed_bits(&self, depth: usize, span: Span, words: &mut [u64]) {
        words.fill(0);
        self.keys.allowed_bits(depth, span, words);
    }
}

/// Writes words as halves; the last half is left out where their number is odd.
fn put_bits(words: &[u64], row: &mut [i32]) {
    let halves = |word: u64| [word, word >> 32].map(|half| (half as u32).cast_signed());
    // Four words at a time, which are one register.
    let (fours, rest) = words.as_chunks::<4>();
    let (eights, row_rest) = row.as_chunks_mut::<8>();
    for (four, eight) in fours.iter().zip(&mut *eights) {
        for (&word, pair) in four.iter().zip(eight.as_chunks_mut::<2>().0) {
            *pair = halves(word);
        }
    }
    // A row of 8k − 1 halves ends within a whole group of words.
    let rest = fours.get(eights.len()).map_or(rest, |four| &four[..]);
    for (&word, halves_out) in rest.iter().zip(row_rest.chunks_mut(2)) {
        halves_out.copy_from_slice(&halves(word)[..halves_out.len()]);
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
