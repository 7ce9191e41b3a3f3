//! The filter in front of the definition: lower bounds of all scores of a block of rows, and what follows from them.

use crate::codebook::{Codebook, Codebooks};

use super::beam::Choice;
use super::bound::Bound;
use super::buffer::Buffer;
use super::definition::nearest_of;
#[cfg(target_arch = "x86_64")]
use super::int8::{self, ByteRows};
use super::kernel::FloatKernel;
use super::packed::{CODES, Packed, Panels};
use super::tile::{FloatRows, Lower, ROWS, RowTerms, Terms, quick_error};

/// Numbers of decisions that the filter alone could not make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Decisions made: rows times levels, and times hypotheses in a beam.
    pub decisions: u64,
    /// Those for which more than one code was left, so that distances were computed in f32.
    pub second: u64,
    /// Those for which that did not decide either, or was not tried, so that f64 decided.
    pub exact: u64,
}

/// Buffers of one thread, for up to `capacity` residuals at a time.
pub(super) struct Scratch {
    /// Residuals, `stride` values each, padded with zeros.
    residuals: Buffer,
    pub(super) stride: usize,
    float_rows: Vec<FloatRows>,
    #[cfg(target_arch = "x86_64")]
    byte_rows: Vec<ByteRows>,
    row_terms: Vec<RowTerms>,
    bounds: Vec<Bound>,
    lower: Buffer,
    lower_stride: usize,
    candidates: Vec<u32>,
    pub(super) choices: Vec<Choice>,
    pub(super) looks: Looks,
}

impl Scratch {
    pub(super) fn new(codebooks: &Codebooks, capacity: usize) -> Self {
        let packed = |level: &Codebook| level.packed().padded_size();
        let widest = codebooks.levels().iter().map(packed).max().unwrap_or(0);
        let quads = codebooks.dim().div_ceil(4);
        let tiles = capacity.div_ceil(ROWS);
        let stride = codebooks.dim().next_multiple_of(16);
        // A cache line more than needed, since rows at a distance of a power of two would share few places in the cache.
        let lower_stride = widest + 16;
        #[cfg(target_arch = "x86_64")]
        let bytes = codebooks
            .levels()
            .iter()
            .any(|level| matches!(level.packed().panels, Panels::Bytes(..)));
        let floats = codebooks
            .levels()
            .iter()
            .any(|level| matches!(level.packed().panels, Panels::Float(..)));
        Self {
            residuals: Buffer::new(capacity * stride),
            stride,
            float_rows: vec![FloatRows([[0.0; 4]; ROWS]); if floats { tiles * quads } else { 0 }],
            #[cfg(target_arch = "x86_64")]
            byte_rows: vec![ByteRows([0; ROWS]); if bytes { tiles * quads } else { 0 }],
            row_terms: vec![RowTerms::default(); tiles],
            bounds: vec![Bound::default(); tiles * ROWS],
            lower: Buffer::new(tiles * ROWS * lower_stride),
            lower_stride,
            candidates: Vec::new(),
            choices: Vec::new(),
            looks: Looks::default(),
        }
    }

    /// The residuals, `stride` values each.
    pub(super) fn residuals(&mut self) -> &mut [f32] {
        self.residuals.values_mut()
    }

    /// One residual, without its padding.
    pub(super) fn residual(&self, row: usize, dim: usize) -> &[f32] {
        &self.residuals.values()[row * self.stride..][..dim]
    }
}

impl Scratch {
    /// True if the filter says anything about a row whose bounds were computed.
    pub(super) fn is_safe(&self, row: usize) -> bool {
        self.bounds[row].safe
    }

    fn lower(&self, row: usize, packed: &Packed) -> &[f32] {
        &self.lower.values()[row * self.lower_stride..][..packed.padded_size()]
    }
}

/// One level's codewords and the routines to hold residuals against them.
#[derive(Clone, Copy)]
pub(super) struct Filter<'a> {
    kernel: &'static FloatKernel,
    level: &'a Codebook,
    packed: &'a Packed,
    dim: usize,
}

impl<'a> Filter<'a> {
    pub(super) fn new(codebooks: &'a Codebooks, level: usize) -> Self {
        let level = &codebooks.levels()[level];
        Self {
            kernel: codebooks.kernel().floats(),
            level,
            packed: level.packed(),
            dim: codebooks.dim(),
        }
    }

    /// Computes the lower bounds of all codes' scores for the first `count` residuals.
    pub(super) fn bound(&self, scratch: &mut Scratch, count: usize) {
        scratch.looks.decisions += count as u64;
        if self.level.size() == 1 {
            return;
        }
        for row in 0..count {
            self.prepare(scratch, row);
        }
        let (panels, quads) = (self.packed.padded_size() / CODES, self.packed.quads);
        for panel in 0..panels {
            for tile in 0..count.div_ceil(ROWS) {
                let rows = (count - tile * ROWS).min(ROWS);
                let places = tile * quads..(tile + 1) * quads;
                let row_terms = &scratch.row_terms[tile];
                let mut lower = Lower {
                    values: &mut scratch.lower.values_mut()[tile * ROWS * scratch.lower_stride..],
                    stride: scratch.lower_stride,
                    column: panel * CODES,
                };
                match &self.packed.panels {
                    Panels::Float(codes) => {
                        let (tile, codes) = (&scratch.float_rows[places], &codes[panel * quads..][..quads]);
                        // SAFETY: the kernel came from `Kernel::floats`, so the CPU has its instructions.
                        unsafe {
                            (self.kernel.scores)(tile, codes, self.terms(panel), row_terms, rows, &mut lower);
                        };
                    }
                    #[cfg(target_arch = "x86_64")]
                    Panels::Bytes(codes, _) => {
                        let (tile, codes) = (&scratch.byte_rows[places], &codes[panel * quads..][..quads]);
                        // SAFETY: codewords are only packed into bytes for `Kernel::Vnni` where it is available.
                        unsafe { int8::scores(tile, codes, self.terms(panel), row_terms, rows, &mut lower) };
                    }
                    #[cfg(not(target_arch = "x86_64"))]
                    Panels::Bytes(..) => unreachable!("no kernel here packs bytes"),
                }
            }
        }
    }

    fn terms(&self, panel: usize) -> Terms<'a> {
        let part = |values: &'a [f32]| &values.as_chunks::<CODES>().0[panel];
        let scales = match &self.packed.panels {
            Panels::Bytes(_, scales) => part(scales),
            Panels::Float(_) => &[0.0; CODES],
        };
        Terms {
            bias: part(&self.packed.bias),
            reach: part(&self.packed.reach),
            scales,
        }
    }

    fn prepare(&self, scratch: &mut Scratch, row: usize) {
        let (tile, place, quads) = (row / ROWS, row % ROWS, self.packed.quads);
        let residual = &scratch.residuals.values()[row * scratch.stride..][..scratch.stride];
        let places = tile * quads..(tile + 1) * quads;
        let (measure, roundings) = match &self.packed.panels {
            Panels::Float(_) => {
                let tile = &mut scratch.float_rows[places];
                // SAFETY: as in `bound`.
                let measure = unsafe { (self.kernel.prepare)(residual, &self.packed.mean, tile, place) };
                (measure, self.kernel.roundings)
            }
            #[cfg(target_arch = "x86_64")]
            Panels::Bytes(..) => {
                let tile = &mut scratch.byte_rows[places];
                // SAFETY: as in `bound`.
                (
                    unsafe { int8::prepare(residual, &self.packed.mean, tile, place) },
                    0,
                )
            }
            #[cfg(not(target_arch = "x86_64"))]
            Panels::Bytes(..) => unreachable!("no kernel here packs bytes"),
        };
        let bound = Bound::new(&measure, self.packed, self.dim, roundings);
        let terms = &mut scratch.row_terms[tile];
        terms.spread[place] = bound.spread;
        terms.scale[place] = measure.scale;
        terms.offset[place] = measure.offset;
        scratch.bounds[row] = bound;
    }

    /// The code of a residual whose bounds were computed.
    pub(super) fn nearest(&self, scratch: &mut Scratch, row: usize) -> usize {
        if self.level.size() == 1 {
            return 0;
        }
        let residual = &scratch.residuals.values()[row * scratch.stride..][..self.dim];
        let bound = scratch.bounds[row];
        if !bound.safe {
            scratch.looks.exact += 1;
            return nearest_of(residual, self.level.words(), 0..self.level.size());
        }
        let lower = &scratch.lower.values()[row * scratch.lower_stride..][..self.packed.padded_size()];
        let candidates = &mut scratch.candidates;
        candidates.clear();
        // SAFETY: as in `bound`.
        unsafe {
            let least = (self.kernel.least)(lower);
            (self.kernel.at_most)(lower, bound.limit(least, self.packed.longest), candidates);
        }
        if let [only] = candidates[..] {
            return only as usize;
        }
        // The reach of the best candidate itself gives a sharper limit than the longest did.
        let best = candidates
            .iter()
            .map(|&code| code as usize)
            .min_by(|&a, &b| lower[a].total_cmp(&lower[b]));
        if let Some(best) = best {
            let limit = bound.limit(lower[best], self.packed.reach[best]);
            candidates.retain(|&code| lower[code as usize] <= limit);
        }
        match candidates[..] {
            // Cannot be, unless the kernel is broken; the definition needs no filter.
            [] => nearest_of(residual, self.level.words(), 0..self.level.size()),
            [only] => only as usize,
            _ => {
                scratch.looks.second += 1;
                self.nearest_of(residual, candidates, &mut scratch.looks)
            }
        }
    }

    /// The nearest of a few candidates, by quick distances and then, among those too near to call, by the definition.
    fn nearest_of(&self, residual: &[f32], candidates: &mut Vec<u32>, looks: &mut Looks) -> usize {
        let mut quick = [0.0; 64];
        if candidates.len() <= quick.len() {
            let mut least = f32::INFINITY;
            for (quick, &code) in quick.iter_mut().zip(&*candidates) {
                *quick = self.quick(residual, code as usize);
                least = least.min(*quick);
            }
            let limit = self.quick_limit(least);
            let mut quick = quick.iter();
            candidates.retain(|_| quick.next().is_some_and(|&quick| quick <= limit));
        }
        if let [only] = candidates[..] {
            return only as usize;
        }
        looks.exact += 1;
        nearest_of(
            residual,
            self.level.words(),
            candidates.iter().map(|&code| code as usize),
        )
    }

    /// The codes of a row whose distance, as far as the bounds tell, can be at most `limit`.
    pub(super) fn below<'s>(&self, scratch: &'s mut Scratch, row: usize, limit: f64) -> &'s [u32] {
        let square = scratch.bounds[row].square * (1.0 - self.square_error());
        let limit = (((limit - square) / 2.0 + scratch.bounds[row].slack) as f32).next_up();
        let mut candidates = std::mem::take(&mut scratch.candidates);
        candidates.clear();
        // Codes that fill up the last panel have infinite bounds, so an infinite limit must not reach them.
        // SAFETY: as in `bound`.
        unsafe {
            (self.kernel.at_most)(
                scratch.lower(row, self.packed),
                limit.min(f32::MAX),
                &mut candidates,
            );
        };
        scratch.candidates = candidates;
        &scratch.candidates
    }

    /// Upper bounds of the distances of a row's codes, of those at least that can be under `limit`.
    pub(super) fn uppers<'s>(
        &'s self,
        scratch: &'s mut Scratch,
        row: usize,
        limit: f64,
    ) -> impl Iterator<Item = f64> + 's {
        let bound = scratch.bounds[row];
        let square = bound.square * (1.0 + self.square_error());
        self.below(scratch, row, limit);
        let lower = scratch.lower(row, self.packed);
        scratch.candidates.iter().map(move |&code| {
            let code = code as usize;
            square + 2.0 * f64::from(bound.limit(lower[code], self.packed.reach[code]))
        })
    }

    /// Lower bounds of a row's distances to the codewords of each `group` codes, but for `own`; 0 where nothing is known.
    pub(super) fn lower_distances(
        &self,
        scratch: &Scratch,
        row: usize,
        own: usize,
        group: usize,
        target: &mut [f32],
    ) {
        let bound = scratch.bounds[row];
        if self.size() == 1 || !bound.safe {
            target.fill(0.0);
            return;
        }
        let square = bound.square * (1.0 - self.square_error());
        let lower = scratch.lower(row, self.packed);
        for (place, (target, lower)) in target.iter_mut().zip(lower.chunks(group)).enumerate() {
            let less = |least: f32, &value: &f32| if value < least { value } else { least };
            let least = if own / group == place {
                let (before, after) = lower.split_at(own % group);
                after[1..]
                    .iter()
                    .fold(before.iter().fold(f32::INFINITY, less), less)
            } else {
                lower.iter().fold(f32::INFINITY, less)
            };
            let distance = square + 2.0 * (f64::from(least) - bound.slack);
            *target = (distance.max(0.0).sqrt() * (1.0 - 1e-6)) as f32;
        }
    }

    /// The relative error of the squared length of a row.
    fn square_error(&self) -> f64 {
        f64::from(quick_error(self.dim)) + 1e-6
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    pub(super) fn size(&self) -> usize {
        self.level.size()
    }

    /// Maximum quick distance of a codeword whose true distance is at most that of quick distance `least`.
    pub(super) fn quick_limit(&self, least: f32) -> f32 {
        least * (1.0 + 4.0 * quick_error(self.dim)) + f32::MIN_POSITIVE * 16.0
    }

    /// The squared distance to a codeword, up to rounding in f32.
    pub(super) fn quick(&self, residual: &[f32], code: usize) -> f32 {
        // SAFETY: as in `bound`.
        unsafe { (self.kernel.quick_distance)(residual, self.level.word(code)) }
    }

    /// One codeword.
    pub(super) fn word(&self, code: usize) -> &'a [f32] {
        self.level.word(code)
    }

    /// Subtracts a codeword from a residual.
    pub(super) fn subtract(&self, scratch: &mut Scratch, row: usize, code: usize) {
        let residual = &mut scratch.residuals.values_mut()[row * scratch.stride..][..self.dim];
        // SAFETY: as in `bound`.
        unsafe { (self.kernel.subtract)(residual, self.level.word(code)) };
    }
}
