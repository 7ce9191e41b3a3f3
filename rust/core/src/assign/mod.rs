//! Residual-quantization assignment: which codeword, level after level.
//!
//! For a row x and codebooks `C_0..C_{L-1}`, all f32: `r_0 = x`; `code_l` is the k with the least `‖r_l − C_l[k]‖²`, evaluated in
//! f64 in index order, lowest k on a tie; `r_{l+1} = r_l − C_l[code_l]`, elementwise in f32. That is [`distance`] and a loop.
//!
//! The fast path is a filter in front of it. A kernel computes, for a block of rows and all codes of a level, lower bounds of
//! the distances in f32 or in bytes, whose error is bounded by proof (see `bound.rs`). Where one code alone
//! can be the nearest, it is. Where several can, their distances are computed in f32, and where even those are too near to
//! call, by the definition. So the codes are the definition's, bit for bit, from every kernel, in every batch, on any
//! number of threads. [`Looks`] counts how often the second and the third look were needed.
//!
//! A residual may overflow f32 where a row and a codeword are huge and of opposite signs. The definition covers it:
//! the distances to an infinite residual are all infinite, a tie, so every further code is 0.
//!
//! With a beam, the `beam` best prefixes are kept at each level instead of one: of all their extensions, those with the
//! least `‖r_l − C_l[k]‖²`, where a tie goes to the better prefix, then to the lower code.

mod beam;
mod bound;
mod buffer;
pub(crate) mod cross;
mod definition;
pub(crate) mod drift;
mod filter;
#[cfg(target_arch = "x86_64")]
mod int8;
mod kernel;
pub(crate) mod packed;
mod rows;
mod tabled;
mod tile;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

pub use definition::distance;
pub use filter::Looks;
pub use kernel::Kernel;
pub use rows::Rows;

use crate::codebook::Codebooks;
use crate::{Error, Result, pool};
use beam::Beams;
use cross::Cross;
use filter::{Filter, Scratch};
use tabled::Tabled;

/// The largest beam.
pub const MAX_BEAM: usize = 64;

/// Rows that one task takes: a few tiles, which share the codewords in the cache while all levels run over them.
const BLOCK: usize = 4 * tile::ROWS;

/// Multiplications under which a call is not worth a second thread.
const INLINE: usize = 1 << 21;

/// Options of the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Number of threads that may work; 0 for all.
    pub threads: usize,
    /// Number of prefixes kept at every level, 1 to [`MAX_BEAM`]; 1 is greedy.
    pub beam: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 0, beam: 1 }
    }
}

/// Output buffers; every buffer but `codes` may be empty.
#[derive(Debug, Default)]
pub struct Outputs<'a> {
    /// `n × levels`: the code at every level.
    pub codes: &'a mut [u16],
    /// `n`: the squared length of what is left of each row after the last level, summed in f64 in index order.
    pub errors: &'a mut [f64],
    /// Number of nearest codes per level in `nearest` and `distances`.
    pub alternatives: usize,
    /// `n × levels × alternatives`: the nearest codes of each residual, nearest first. Without a beam, the first is
    /// the code; where a level has fewer codes, the last one is repeated.
    pub nearest: &'a mut [u16],
    /// `n × levels × alternatives`: their squared distances.
    pub distances: &'a mut [f64],
}

/// Writes the codes of `rows` (`n × dim`) to `codes` (`n × levels`), on up to `threads` threads (0: all).
///
/// # Errors
///
/// As [`assign_with`].
pub fn assign(rows: &[f32], codebooks: &Codebooks, codes: &mut [u16], threads: usize) -> Result<()> {
    let outputs = Outputs {
        codes,
        ..Outputs::default()
    };
    assign_with(Rows::F32(rows), codebooks, outputs, Options { threads, beam: 1 }).map(|_| ())
}

/// Writes the codes of `rows` (`n × dim`), and the other requested results, to `outputs`.
///
/// # Errors
///
/// [`Error::Length`] if a buffer does not fit the codebooks or another; [`Error::Range`] for a beam that is none, too wide, or
/// combined with alternatives; [`Error::NotFinite`] with the first row that holds NaN or infinity, as it is in f32; then the
/// outputs hold nothing of use.
pub fn assign_with(
    rows: Rows<'_>,
    codebooks: &Codebooks,
    outputs: Outputs<'_>,
    options: Options,
) -> Result<Looks> {
    let (dim, levels) = (codebooks.dim(), codebooks.levels().len());
    let count = rows.len() / dim;
    check(&rows, codebooks, &outputs, options)?;
    let words: usize = codebooks.levels().iter().map(|level| level.words().len()).sum();
    let work = count.saturating_mul(words).saturating_mul(options.beam);
    let threads = if work < INLINE { 1 } else { options.threads };
    let first_bad = AtomicUsize::new(usize::MAX);
    let looks = [const { AtomicU64::new(0) }; 3];
    let plan = Plan::new(codebooks, count, options.beam);
    let block = plan.block();
    // A call for a few rows needs no room for a whole block.
    let capacity = block.min(count).max(1);
    pool::for_each_with(
        threads,
        blocks(outputs, count, block, levels),
        || plan.worker(capacity),
        |worker, (first, rows_here, mut outputs)| {
            let (targets, stride) = worker.rows();
            for (i, target) in targets.chunks_exact_mut(stride).take(rows_here).enumerate() {
                if !rows.copy((first + i) * dim, &mut target[..dim]) {
                    first_bad.fetch_min(first + i, Relaxed);
                    return;
                }
            }
            let Looks {
                decisions,
                second,
                exact,
            } = worker.run(codebooks, rows_here, &mut outputs);
            for (total, part) in looks.iter().zip([decisions, second, exact]) {
                total.fetch_add(part, Relaxed);
            }
        },
    );
    let [decisions, second, exact] = looks.map(AtomicU64::into_inner);
    match first_bad.into_inner() {
        usize::MAX => Ok(Looks {
            decisions,
            second,
            exact,
        }),
        row => Err(Error::NotFinite { what: "x", row }),
    }
}

/// Plan of a call.
#[derive(Clone, Copy)]
struct Plan<'a> {
    codebooks: &'a Codebooks,
    beam: usize,
    cross: Option<&'a Cross>,
}

impl<'a> Plan<'a> {
    fn new(codebooks: &'a Codebooks, count: usize, beam: usize) -> Self {
        // The best prefix of one level is the nearest code.
        let beam = if codebooks.levels().len() == 1 { 1 } else { beam };
        let cross = if beam == 1 {
            None
        } else {
            codebooks.cross(count.saturating_mul(beam))
        };
        Self {
            codebooks,
            beam,
            cross,
        }
    }

    /// Rows that one task takes.
    fn block(self) -> usize {
        match self.cross {
            // Residuals are as many as prefixes.
            None => (BLOCK / self.beam).max(1),
            Some(_) => BLOCK,
        }
    }

    fn worker(self, rows: usize) -> Worker<'a> {
        let prefixes = rows * self.beam;
        match self.cross {
            Some(cross) => Worker::Tabled(Tabled::new(self.codebooks, cross, rows, self.beam)),
            None if self.beam == 1 => Worker::Greedy(Scratch::new(self.codebooks, rows)),
            None => Worker::Residual(
                Scratch::new(self.codebooks, prefixes),
                Beams::new(self.codebooks, prefixes, self.beam),
            ),
        }
    }
}

/// The buffers of one thread, for one way of assignment.
enum Worker<'a> {
    Greedy(Scratch),
    /// A beam whose prefixes have residuals.
    Residual(Scratch, Beams),
    /// A beam by cross tables.
    Tabled(Tabled<'a>),
}

impl Worker<'_> {
    /// Where a block's rows go, and how far one is from the next.
    fn rows(&mut self) -> (&mut [f32], usize) {
        match self {
            Self::Greedy(scratch) | Self::Residual(scratch, _) => {
                let stride = scratch.stride;
                (scratch.residuals(), stride)
            }
            Self::Tabled(tabled) => {
                let stride = tabled.stride;
                (tabled.rows(), stride)
            }
        }
    }

    /// Assigns the block's rows.
    fn run(&mut self, codebooks: &Codebooks, rows: usize, outputs: &mut Outputs<'_>) -> Looks {
        match self {
            Self::Greedy(scratch) => {
                greedy(codebooks, scratch, rows, outputs);
                std::mem::take(&mut scratch.looks)
            }
            Self::Residual(scratch, beams) => {
                beams.run(codebooks, scratch, rows, outputs);
                std::mem::take(&mut scratch.looks)
            }
            Self::Tabled(tabled) => {
                tabled.run(rows, outputs);
                std::mem::take(&mut tabled.looks)
            }
        }
    }
}

fn check(rows: &Rows<'_>, codebooks: &Codebooks, outputs: &Outputs<'_>, options: Options) -> Result<()> {
    let (count, levels) = (rows.len() / codebooks.dim(), codebooks.levels().len());
    let fits = |what, got: usize, expected| {
        if got == 0 {
            Ok(())
        } else {
            Error::check_length(what, got, expected)
        }
    };
    Error::check_length("rows", rows.len(), count * codebooks.dim())?;
    Error::check_length("codes", outputs.codes.len(), count * levels)?;
    fits("errors", outputs.errors.len(), count)?;
    fits(
        "nearest",
        outputs.nearest.len(),
        count * levels * outputs.alternatives,
    )?;
    fits(
        "distances",
        outputs.distances.len(),
        count * levels * outputs.alternatives,
    )?;
    Error::check_range(
        "beam",
        options.beam,
        1,
        if outputs.alternatives > 0 { 1 } else { MAX_BEAM },
    )
}

/// Cuts rows `0..count` and their outputs into blocks: the first row of each, how many, and their outputs.
fn blocks(
    mut outputs: Outputs<'_>,
    count: usize,
    block: usize,
    levels: usize,
) -> impl Iterator<Item = (usize, usize, Outputs<'_>)> {
    (0..count).step_by(block).map(move |first| {
        let rows = block.min(count - first);
        let per_level = rows * levels * outputs.alternatives;
        let part = Outputs {
            codes: cut(&mut outputs.codes, rows * levels),
            errors: cut(&mut outputs.errors, rows),
            alternatives: outputs.alternatives,
            nearest: cut(&mut outputs.nearest, per_level),
            distances: cut(&mut outputs.distances, per_level),
        };
        (first, rows, part)
    })
}

/// Takes the first `count` elements off a buffer, or as many as there are.
#[expect(clippy::mut_mut, reason = "the buffer is cut in place")]
fn cut<'a, T>(buffer: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let count = count.min(buffer.len());
    let (part, rest) = std::mem::take(buffer).split_at_mut(count);
    *buffer = rest;
    part
}

/// Greedy assignment of the block's residuals, which become those after the last level.
fn greedy(codebooks: &Codebooks, scratch: &mut Scratch, rows: usize, outputs: &mut Outputs<'_>) {
    let levels = codebooks.levels().len();
    let alternatives = outputs.alternatives;
    for level in 0..levels {
        let filter = Filter::new(codebooks, level);
        filter.bound(scratch, rows);
        for row in 0..rows {
            let place = row * levels + level;
            let code = if alternatives > 0 {
                let nearest = filter.ranked(scratch, row..row + 1, alternatives);
                outputs.write_nearest(place, nearest)
            } else {
                filter.nearest(scratch, row)
            };
            outputs.codes[place] = code as u16;
            filter.subtract(scratch, row, code);
        }
    }
    for (row, error) in outputs.errors.iter_mut().enumerate() {
        *error = square(scratch.residual(row, codebooks.dim()));
    }
}

impl Outputs<'_> {
    /// Writes the ranked codes of one row and level, and says which is the first.
    fn write_nearest(&mut self, place: usize, nearest: &[beam::Choice]) -> usize {
        for i in 0..self.alternatives {
            let choice = nearest[i.min(nearest.len() - 1)];
            if let Some(target) = self.nearest.get_mut(place * self.alternatives + i) {
                *target = choice.code as u16;
            }
            if let Some(target) = self.distances.get_mut(place * self.alternatives + i) {
                *target = choice.distance;
            }
        }
        nearest[0].code
    }
}

/// The squared length of a residual, summed in f64 in index order.
fn square(residual: &[f32]) -> f64 {
    residual
        .iter()
        .fold(0.0, |sum, &value| sum + f64::from(value) * f64::from(value))
}
