//! Several prefixes at a time: the best extensions of a few residuals, and the search that keeps them.

use std::array;
use std::cmp::Ordering;
use std::ops::Range;

use crate::codebook::Codebooks;

use super::definition::{TOGETHER, distances};
use super::filter::{Filter, Scratch};
use super::{Outputs, square};

/// One way to go on: from which of the prefixes, with which code, and how far from the residual it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) distance: f64,
    pub(super) prefix: usize,
    pub(super) code: usize,
}

impl Choice {
    /// Nearest first; a tie goes to the better prefix, then to the lower code.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let places = (self.prefix, self.code).cmp(&(other.prefix, other.code));
        self.distance.total_cmp(&other.distance).then(places)
    }
}

/// The prefixes of a block of rows.
pub(super) struct Beams {
    width: usize,
    levels: usize,
    /// Residuals of the next level, as in the scratch.
    next: Vec<f32>,
    /// Codes of all prefixes, `levels` each, and those of the next level.
    codes: Vec<u16>,
    next_codes: Vec<u16>,
}

impl Beams {
    /// Room for `capacity` prefixes, `width` a row.
    pub(super) fn new(codebooks: &Codebooks, capacity: usize, width: usize) -> Self {
        let levels = codebooks.levels().len();
        Self {
            width,
            levels,
            next: vec![0.0; capacity * codebooks.dim().next_multiple_of(16)],
            codes: vec![0; capacity * levels],
            next_codes: vec![0; capacity * levels],
        }
    }

    /// Searches for the block's rows, whose residuals lie in the scratch one after the other.
    pub(super) fn run(
        &mut self,
        codebooks: &Codebooks,
        scratch: &mut Scratch,
        rows: usize,
        outputs: &mut Outputs<'_>,
    ) {
        // How many prefixes each row has: one at first, and never more than the codes allow.
        let mut prefixes = 1;
        for level in 0..self.levels {
            let filter = Filter::new(codebooks, level);
            filter.bound(scratch, rows * prefixes);
            let kept = (prefixes * codebooks.levels()[level].size()).min(self.width);
            for row in 0..rows {
                let choices = filter
                    .ranked(scratch, row * prefixes..(row + 1) * prefixes, kept)
                    .to_vec();
                for (i, choice) in choices.into_iter().enumerate() {
                    self.extend(
                        codebooks,
                        scratch,
                        level,
                        row * prefixes + choice.prefix,
                        row * kept + i,
                        choice.code,
                    );
                }
            }
            let used = rows * kept * scratch.stride;
            scratch.residuals()[..used].copy_from_slice(&self.next[..used]);
            std::mem::swap(&mut self.codes, &mut self.next_codes);
            prefixes = kept;
        }
        for row in 0..rows {
            let best = &self.codes[row * prefixes * self.levels..][..self.levels];
            outputs.codes[row * self.levels..][..self.levels].copy_from_slice(best);
            if let Some(error) = outputs.errors.get_mut(row) {
                *error = square(scratch.residual(row * prefixes, codebooks.dim()));
            }
        }
    }

    /// Makes prefix `to` of the next level out of prefix `from` and a code.
    fn extend(
        &mut self,
        codebooks: &Codebooks,
        scratch: &Scratch,
        level: usize,
        from: usize,
        to: usize,
        code: usize,
    ) {
        let dim = codebooks.dim();
        let target = &mut self.next[to * scratch.stride..][..dim];
        let word = codebooks.levels()[level].word(code);
        for ((target, &value), &word) in target.iter_mut().zip(scratch.residual(from, dim)).zip(word) {
            *target = value - word;
        }
        let (from, to) = (from * self.levels, to * self.levels);
        self.next_codes[to..to + level].copy_from_slice(&self.codes[from..from + level]);
        self.next_codes[to + level] = code as u16;
    }
}

impl Filter<'_> {
    /// The `count` best extensions of the prefixes whose residuals are rows `rows` of the scratch, best first; fewer if there are fewer.
    pub(super) fn ranked<'s>(
        &self,
        scratch: &'s mut Scratch,
        rows: Range<usize>,
        count: usize,
    ) -> &'s [Choice] {
        let mut choices = std::mem::take(&mut scratch.choices);
        choices.clear();
        self.collect(scratch, rows.clone(), count, &mut choices);
        if choices.len() > count {
            scratch.looks.second += rows.len() as u64;
            self.thin_out(scratch, rows.start, count, &mut choices);
        }
        for group in choices.chunks_mut(TOGETHER) {
            let pair = |choice: &Choice| {
                let residual = scratch.residual(rows.start + choice.prefix, self.dim());
                (residual, self.word(choice.code))
            };
            let found = distances(array::from_fn::<_, TOGETHER, _>(|i| {
                pair(group.get(i).unwrap_or(&group[0]))
            }));
            for (choice, distance) in group.iter_mut().zip(found) {
                choice.distance = distance;
            }
        }
        choices.sort_unstable_by(Choice::order);
        choices.truncate(count);
        scratch.choices = choices;
        &scratch.choices
    }

    /// Every extension that can be among the `count` best, as far as the bounds tell.
    fn collect(&self, scratch: &mut Scratch, rows: Range<usize>, count: usize, choices: &mut Vec<Choice>) {
        let all = self.size() == 1 || rows.clone().any(|row| !scratch.is_safe(row));
        let limit = if all {
            f64::INFINITY
        } else {
            self.limit(scratch, rows.clone(), count)
        };
        for (prefix, row) in rows.enumerate() {
            let mut add = |code: usize| {
                choices.push(Choice {
                    distance: 0.0,
                    prefix,
                    code,
                });
            };
            if all {
                scratch.looks.exact += u64::from(self.size() > 1);
                (0..self.size()).for_each(&mut add);
            } else {
                self.below(scratch, row, limit)
                    .iter()
                    .for_each(|&code| add(code as usize));
            }
        }
    }

    /// An upper bound of the `count`-th smallest distance of all extensions.
    fn limit(&self, scratch: &mut Scratch, rows: Range<usize>, count: usize) -> f64 {
        let mut best: Vec<f64> = Vec::with_capacity(count + 1);
        for row in rows {
            // The first distances are taken as they come; later ones must beat the worst that is kept.
            let worst = |best: &[f64]| {
                if best.len() < count {
                    f64::INFINITY
                } else {
                    best[count - 1]
                }
            };
            let entry = worst(&best);
            for upper in self.uppers(scratch, row, entry) {
                if upper < worst(&best) {
                    best.insert(best.partition_point(|&other| other <= upper), upper);
                    best.truncate(count);
                }
            }
        }
        if best.len() < count {
            f64::INFINITY
        } else {
            best[count - 1]
        }
    }

    /// Drops extensions whose quick distances show that they are not among the `count` best.
    fn thin_out(&self, scratch: &Scratch, first: usize, count: usize, choices: &mut Vec<Choice>) {
        if choices
            .iter()
            .any(|choice| !scratch.is_safe(first + choice.prefix))
        {
            return;
        }
        let mut quick: Vec<f32> = choices
            .iter()
            .map(|choice| self.quick(scratch.residual(first + choice.prefix, self.dim()), choice.code))
            .collect();
        let distances = quick.clone();
        let (_, &mut worst, _) = quick.select_nth_unstable_by(count - 1, f32::total_cmp);
        let limit = self.quick_limit(worst);
        let mut distances = distances.iter();
        choices.retain(|_| distances.next().is_some_and(|&distance| distance <= limit));
    }
}
