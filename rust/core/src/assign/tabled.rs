//! Beam search by cross tables: prefixes are held against codewords by additions alone.
//!
//! Scores order the extensions of a row's prefixes; where two that matter are too near to call, the definition does,
//! on residuals made for the purpose. See `cross` for what a score is and how far it may be off.

use crate::codebook::Codebooks;

use super::beam::Choice;
use super::buffer::Buffer;
use super::cross::Cross;
use super::definition::{TOGETHER, distances};
use super::filter::Looks;
use super::kernel::FloatKernel;
use super::packed::CODES;
use super::tile::{FloatRows, Lower, NO_TERMS, ROWS, RowTerms, Terms};
use super::{Outputs, square};

/// Up to this width, one set of minima serves all prefixes of a row.
const NARROW: usize = 12;

/// The buffers of one thread.
pub(super) struct Tabled<'a> {
    codebooks: &'a Codebooks,
    cross: &'a Cross,
    kernel: &'static FloatKernel,
    width: usize,
    /// The block's rows, `stride` values each, padded with zeros.
    rows: Buffer,
    pub(super) stride: usize,
    tiles: Vec<FloatRows>,
    /// Largest coordinate and squared norm of each row relative to the mean.
    measures: Vec<(f32, f32)>,
    /// ½‖c̄‖² − x̄·c̄ for each row and all columns.
    products: Buffer,
    products_stride: usize,
    beam: Beam<'a>,
    pub(super) looks: Looks,
}

/// One row's search.
struct Beam<'a> {
    /// Score and codes of each prefix, best first, and those of the next level.
    scores: Vec<f32>,
    codes: Vec<u16>,
    next_codes: Vec<u16>,
    /// The scores of all extensions.
    extended: Buffer,
    minima: Vec<f32>,
    tables: Vec<&'a [f32]>,
    candidates: Vec<u32>,
    /// Score and place of each extension that may be kept, packed for sorting.
    ranked: Vec<u64>,
    choices: Vec<Choice>,
    exact: Exact,
}

/// Residuals of a row's prefixes, made when they are asked for.
struct Exact {
    residuals: Vec<f32>,
    /// Bit p: the residual of prefix p is there.
    made: u64,
}

impl<'a> Tabled<'a> {
    /// Room for `capacity` rows.
    pub(super) fn new(codebooks: &'a Codebooks, cross: &'a Cross, capacity: usize, width: usize) -> Self {
        let (dim, levels) = (codebooks.dim(), codebooks.levels().len());
        let stride = dim.next_multiple_of(16);
        let tiles = capacity.div_ceil(ROWS);
        // A cache line more than needed, since rows at a distance of a power of two would share few places in the cache.
        let products_stride = cross.columns + 16;
        let widest = cross.levels.iter().map(|level| level.padded).max().unwrap_or(0);
        Self {
            codebooks,
            cross,
            kernel: codebooks.kernel().floats(),
            width,
            rows: Buffer::new(capacity * stride),
            stride,
            tiles: vec![FloatRows([[0.0; 4]; ROWS]); tiles * cross.quads],
            measures: vec![(0.0, 0.0); capacity],
            products: Buffer::new(tiles * ROWS * products_stride),
            products_stride,
            beam: Beam {
                scores: Vec::with_capacity(width),
                codes: vec![0; width * levels],
                next_codes: vec![0; width * levels],
                extended: Buffer::new(width * widest),
                minima: Vec::with_capacity(width * CODES),
                tables: Vec::with_capacity(levels),
                candidates: Vec::new(),
                ranked: Vec::new(),
                choices: Vec::new(),
                exact: Exact {
                    residuals: vec![0.0; width * dim],
                    made: 0,
                },
            },
            looks: Looks::default(),
        }
    }

    /// The rows, `stride` values each.
    pub(super) fn rows(&mut self) -> &mut [f32] {
        self.rows.values_mut()
    }

    /// Searches for the block's first `count` rows.
    pub(super) fn run(&mut self, count: usize, outputs: &mut Outputs<'_>) {
        self.multiply(count);
        let levels = self.cross.levels.len();
        for row in 0..count {
            self.search(row);
            let best = &self.beam.codes[..levels];
            outputs.codes[row * levels..][..levels].copy_from_slice(best);
            if let Some(error) = outputs.errors.get_mut(row) {
                let dim = self.codebooks.dim();
                let target = &mut self.beam.exact.residuals[..dim];
                target.copy_from_slice(&self.rows.values()[row * self.stride..][..dim]);
                for (&code, level) in best.iter().zip(self.codebooks.levels()) {
                    // SAFETY: the kernel came from `Kernel::floats`, so the CPU has its instructions.
                    unsafe { (self.kernel.subtract)(target, level.word(usize::from(code))) };
                }
                *error = square(target);
            }
        }
    }

    /// The product of the block's rows and all codewords.
    fn multiply(&mut self, count: usize) {
        let quads = self.cross.quads;
        for row in 0..count {
            let values = &self.rows.values()[row * self.stride..][..self.stride];
            let tile = &mut self.tiles[row / ROWS * quads..][..quads];
            // SAFETY: as in `run`.
            let measure = unsafe { (self.kernel.prepare)(values, &self.cross.mean, tile, row % ROWS) };
            self.measures[row] = (measure.largest, measure.square);
        }
        for level in &self.cross.levels {
            let panels = level
                .panels
                .chunks_exact(quads)
                .zip(level.bias.as_chunks::<CODES>().0);
            for (panel, (codes, bias)) in panels.enumerate() {
                let terms = Terms {
                    bias,
                    reach: &NO_TERMS,
                    scales: &NO_TERMS,
                };
                for tile in 0..count.div_ceil(ROWS) {
                    let mut lower = Lower {
                        values: &mut self.products.values_mut()[tile * ROWS * self.products_stride..],
                        stride: self.products_stride,
                        column: level.first + panel * CODES,
                    };
                    let rows = (count - tile * ROWS).min(ROWS);
                    let tile = &self.tiles[tile * quads..][..quads];
                    // SAFETY: as in `run`.
                    unsafe {
                        (self.kernel.scores)(tile, codes, terms, &RowTerms::default(), rows, &mut lower);
                    };
                }
            }
        }
    }

    /// Finds the best prefix of a row, which becomes the first of the beam.
    fn search(&mut self, row: usize) {
        let levels = self.cross.levels.len();
        let (largest, norm) = self.measures[row];
        let safe = self.cross.is_safe(largest);
        self.beam.scores.clear();
        self.beam.scores.push(0.0);
        for level in 0..levels {
            let prefixes = self.beam.scores.len();
            self.looks.decisions += prefixes as u64;
            // Of the last level, only the best is asked for.
            let wanted = if level + 1 == levels { 1 } else { self.width };
            let kept = wanted.min(prefixes.saturating_mul(self.codebooks.levels()[level].size()));
            let margin = if safe {
                let margin = self.cross.margin(level, norm, self.kernel.roundings);
                self.extend(row, level);
                self.rank(level, kept, margin);
                margin
            } else {
                self.rank_all(level);
                f64::INFINITY
            };
            self.settle(row, level, kept, margin);
            self.keep(level, kept);
        }
    }

    /// Computes the scores of all extensions of a row's prefixes, and the least in each lane.
    fn extend(&mut self, row: usize, level: usize) {
        let (beam, cross) = (&mut self.beam, &self.cross.levels[level]);
        let levels = self.cross.levels.len();
        let products = &self.products.values()[row * self.products_stride + cross.first..][..cross.padded];
        let apart = self.width > NARROW;
        beam.minima.clear();
        beam.minima
            .resize(if apart { beam.scores.len() } else { 1 } * CODES, f32::INFINITY);
        let extended = beam.extended.values_mut().chunks_exact_mut(cross.padded);
        for (prefix, (&score, target)) in beam.scores.iter().zip(extended).enumerate() {
            beam.tables.clear();
            let codes = &beam.codes[prefix * levels..][..level];
            let tables = codes.iter().enumerate();
            beam.tables
                .extend(tables.map(|(earlier, &code)| cross.table(earlier, usize::from(code))));
            let minima = &mut beam.minima.as_chunks_mut().0[if apart { prefix } else { 0 }];
            // SAFETY: as in `run`.
            unsafe { (self.kernel.extend)(products, &beam.tables, score, target, minima) };
        }
    }

    /// Lists the extensions that may be among the `kept` best, by score.
    fn rank(&mut self, level: usize, kept: usize, margin: f64) {
        let (beam, padded) = (&mut self.beam, self.cross.levels[level].padded);
        let limit = (f64::from(threshold(&mut beam.minima, kept)) + margin) as f32;
        // Codes that fill up the last panel have infinite scores, so an infinite limit must not reach them.
        let limit = limit.next_up().min(f32::MAX);
        let scores = &beam.extended.values()[..beam.scores.len() * padded];
        beam.candidates.clear();
        // SAFETY: as in `run`.
        unsafe { (self.kernel.at_most)(scores, limit, &mut beam.candidates) };
        beam.ranked.clear();
        let scored = beam.candidates.iter();
        beam.ranked
            .extend(scored.map(|&place| pack(scores[place as usize], place)));
        beam.ranked.sort_unstable();
    }

    /// Lists all extensions, where scores say nothing.
    fn rank_all(&mut self, level: usize) {
        let (beam, padded) = (&mut self.beam, self.cross.levels[level].padded);
        let size = self.codebooks.levels()[level].size();
        beam.ranked.clear();
        for prefix in 0..beam.scores.len() {
            let places = (prefix * padded..).take(size);
            beam.ranked.extend(places.map(|place| pack(0.0, place as u32)));
        }
    }

    /// Puts the first `kept` of the ranked extensions in the order of the definition.
    fn settle(&mut self, row: usize, level: usize, kept: usize, margin: f64) {
        let mut looked = false;
        let mut start = 0;
        while start < kept {
            let mut end = start + 1;
            let scores = |i: usize| f64::from(unpack(self.beam.ranked[i]).0);
            while end < self.beam.ranked.len() && scores(end) - scores(end - 1) <= margin {
                end += 1;
            }
            if end - start > 1 {
                if !looked {
                    self.beam.exact.made = 0;
                    looked = true;
                }
                self.look(row, level, start..end);
            }
            start = end;
        }
        if looked {
            let prefixes = self.beam.scores.len() as u64;
            self.looks.second += prefixes;
            self.looks.exact += prefixes;
        }
    }

    /// Sorts some of the ranked extensions by the definition.
    fn look(&mut self, row: usize, level: usize, places: std::ops::Range<usize>) {
        let (beam, dim) = (&mut self.beam, self.codebooks.dim());
        let (levels, padded) = (self.cross.levels.len(), self.cross.levels[level].padded);
        let x = &self.rows.values()[row * self.stride..][..dim];
        let ranked = &mut beam.ranked[places];
        beam.choices.clear();
        for &packed in &*ranked {
            let place = unpack(packed).1 as usize;
            let (prefix, code) = (place / padded, place % padded);
            beam.choices.push(Choice {
                distance: 0.0,
                prefix,
                code,
            });
            if beam.exact.made >> prefix & 1 == 0 {
                beam.exact.made |= 1 << prefix;
                let target = &mut beam.exact.residuals[prefix * dim..][..dim];
                target.copy_from_slice(x);
                let codes = &beam.codes[prefix * levels..][..level];
                for (&code, level) in codes.iter().zip(self.codebooks.levels()) {
                    // SAFETY: as in `run`.
                    unsafe { (self.kernel.subtract)(target, level.word(usize::from(code))) };
                }
            }
        }
        let words = &self.codebooks.levels()[level];
        for group in beam.choices.chunks_mut(TOGETHER) {
            let found = distances(std::array::from_fn::<_, TOGETHER, _>(|i| {
                let choice = group.get(i).unwrap_or(&group[0]);
                let residual = &beam.exact.residuals[choice.prefix * dim..][..dim];
                (residual, words.word(choice.code))
            }));
            for (choice, distance) in group.iter_mut().zip(found) {
                choice.distance = distance;
            }
        }
        // Scores stay with their extensions.
        let mut order: Vec<(Choice, u64)> =
            beam.choices.iter().copied().zip(ranked.iter().copied()).collect();
        order.sort_unstable_by(|a, b| a.0.order(&b.0));
        for (target, (_, packed)) in ranked.iter_mut().zip(order) {
            *target = packed;
        }
    }

    /// Makes the first `kept` of the ranked extensions the prefixes of the next level.
    fn keep(&mut self, level: usize, kept: usize) {
        let (beam, levels) = (&mut self.beam, self.cross.levels.len());
        let padded = self.cross.levels[level].padded;
        beam.scores.clear();
        for (to, &packed) in beam.ranked[..kept].iter().enumerate() {
            let (score, place) = unpack(packed);
            let (prefix, code) = (place as usize / padded, place as usize % padded);
            let (from, to) = (prefix * levels, to * levels);
            beam.next_codes[to..to + level].copy_from_slice(&beam.codes[from..from + level]);
            beam.next_codes[to + level] = code as u16;
            beam.scores.push(score);
        }
        std::mem::swap(&mut beam.codes, &mut beam.next_codes);
    }
}

/// A number that at least `kept` scores do not exceed: the `kept`-th least of the minima, which are scores of different
/// extensions; infinite if there are fewer minima. With many more lanes than prefixes to keep, hardly more scores are below it.
fn threshold(minima: &mut [f32], kept: usize) -> f32 {
    if kept > minima.len() {
        return f32::INFINITY;
    }
    if kept > NARROW {
        return *minima.select_nth_unstable_by(kept - 1, f32::total_cmp).1;
    }
    let mut least = [f32::INFINITY; NARROW];
    for &score in &*minima {
        if score < least[kept - 1] {
            let mut place = kept - 1;
            while place > 0 && least[place - 1] > score {
                least[place] = least[place - 1];
                place -= 1;
            }
            least[place] = score;
        }
    }
    least[kept - 1]
}

/// A score and a place as one number in the order of scores, then places.
fn pack(score: f32, place: u32) -> u64 {
    let bits = score.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(place)
}

fn unpack(packed: u64) -> (f32, u32) {
    let ordered = (packed >> 32) as u32;
    let bits = if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    };
    (f32::from_bits(bits), packed as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_scores_sort_as_scores_then_places() {
        let mut packed: Vec<u64> = [(-0.5, 9), (2.0, 0), (-3.0, 1), (0.0, 7), (2.0, 5), (-0.0, 8)]
            .map(|(score, place)| pack(score, place))
            .to_vec();
        packed.sort_unstable();
        let order: Vec<(f32, u32)> = packed.into_iter().map(unpack).collect();
        assert_eq!(
            order,
            [(-3.0, 1), (-0.5, 9), (-0.0, 8), (0.0, 7), (2.0, 0), (2.0, 5)]
        );
    }

    #[test]
    fn the_threshold_is_the_least_but_so_many() {
        let minima: Vec<f32> = (0..96_u16).map(|i| f32::from(i * 37 % 96)).collect();
        for kept in [1, 2, 5, NARROW, NARROW + 1, 64, 96] {
            assert_eq!(
                threshold(&mut minima.clone(), kept).to_bits(),
                (kept as f32 - 1.0).to_bits()
            );
        }
        assert_eq!(
            threshold(&mut minima.clone(), 97).to_bits(),
            f32::INFINITY.to_bits()
        );
    }
}
