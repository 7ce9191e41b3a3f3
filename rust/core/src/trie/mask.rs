//! Which codes may come next, written into the caller's buffer.

use super::Trie;
use super::columns::{Digit, with_digits};
use super::walk::{Span, States};
use crate::error::{Error, Result};

impl Trie {
    /// Marks the codes that lead on from each state: `out` is (states, size of the next level), row by row. The row of a
    /// dead state is all `false`.
    ///
    /// # Errors
    /// [`Error::Length`] if `out` has another size, [`Error::Complete`] at the last level.
    pub fn allowed(&self, states: &States, out: &mut [bool]) -> Result<()> {
        let size = self.next_size(states)? as usize;
        let expected = states.len() * size;
        if out.len() != expected {
            return Err(Error::Length {
                what: "out",
                expected,
                got: out.len(),
            });
        }
        for (&span, row) in states.spans.iter().zip(out.chunks_exact_mut(size)) {
            row.fill(false);
            self.for_each_code(states.depth, span, |code| row[code] = true);
        }
        Ok(())
    }

    /// The codes that lead on from a state, as the bits of words.
    pub(super) fn allowed_bits(&self, depth: usize, span: Span, words: &mut Vec<u64>) {
        words.clear();
        words.resize((self.layout.sizes()[depth] as usize).div_ceil(64), 0);
        self.for_each_code(depth, span, |code| words[code / 64] |= 1 << (code % 64));
    }

    /// Calls `visit` with each code that leads on from a state, ascending; a code may come several times in a row.
    fn for_each_code(&self, depth: usize, span: Span, mut visit: impl FnMut(usize)) {
        // Longer runs are skipped through rather than read.
        const SCAN: usize = 64;
        if depth < self.keys.head() || (span.hi - span.lo) as usize > SCAN {
            let size = self.layout.sizes()[depth];
            return self
                .keys
                .for_each_child(size, depth, span, |code, _| visit(code.into()));
        }
        with_digits!(&self.keys.tail[depth - self.keys.head()], digits => {
            for &digit in &digits[span.lo as usize..span.hi as usize] {
                visit(digit.code().into());
            }
        });
    }
}
