//! One step of beam search, fused: log-probabilities in, the best next prefixes out.

use super::Trie;
use super::limits::{Limits, Permit};
use super::walk::{Span, States};
use crate::error::{Error, Result};
use crate::{guard, memory, pool};

/// Options of a step of a batch of beams.
#[derive(Clone, Copy, Debug)]
pub struct BeamStep<'a> {
    /// Rows of one request; the rows of a request follow each other, and so do the requests (groups).
    pub rows_per_group: usize,
    /// Number of prefixes each group keeps.
    pub beam: usize,
    /// Limits of each group.
    pub limits: Limits<'a>,
    /// True to normalize the probabilities of the allowed tokens of a row to a sum of 1.
    pub renormalize: bool,
}

/// The best prefixes after a step: exactly `beam` a group, by falling score. Where a group has fewer live ones, the rest are dead
/// states with score −∞, the group's first row as parent, and token 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Beams {
    /// The sum of log-probabilities of each prefix.
    pub scores: Vec<f32>,
    /// The row that each prefix continues.
    pub parents: Vec<i64>,
    /// The token it continues with.
    pub codes: Vec<i64>,
    /// The prefixes.
    pub states: States,
}

/// A row of tokens or parents takes 16 bits of a candidate.
pub(super) const MOST_ROWS: usize = 1 << 16;

/// Below this many scores a step is done before another thread would have woken up.
const WORTH_THREADS: usize = 1 << 16;

impl Trie {
    /// Takes one step of beam search: of all children of each group's rows, those allowed by the trie and with an item that the group may get,
    /// the `beam` with the highest `scores[row] + log_probs[row, code]`. It is exact; ties go to the lower row, then the lower token.
    ///
    /// `log_probs` is (states, tokens of the next level), `scores` (states). Scores are sums in f32, in f64 and then rounded when
    /// renormalized. A child of score −∞ is not live.
    ///
    /// # Errors
    /// [`Error::Complete`] at the last level, [`Error::Length`] where the arguments do not fit each other,
    /// [`Error::Groups`] for impossible groups, [`Error::NotFinite`] for a NaN among the scores of allowed children.
    pub fn beam_step(
        &self,
        log_probs: &[f32],
        states: &States,
        scores: &[f32],
        step: &BeamStep<'_>,
    ) -> Result<Beams> {
        let size = self.next_size(states)? as usize;
        let rows = states.len();
        check_length("log_probs", rows * size, log_probs.len())?;
        check_length("scores", rows, scores.len())?;
        let groups = step.limits.check(self, rows, step.rows_per_group)?;
        if step.beam == 0 {
            return Err(Error::Groups {
                rows,
                rows_per_group: step.rows_per_group,
                problem: "a beam keeps at least 1 prefix",
            });
        }
        let mut beams = memory::filled(Slot::default(), memory::product::<Slot>(groups, step.beam));
        let group_of = |group: usize| {
            let first = group * step.rows_per_group;
            let rows = first..first + step.rows_per_group;
            Group {
                trie: self,
                depth: states.depth,
                size,
                first,
                spans: &states.spans[rows.clone()],
                scores: &scores[rows.clone()],
                log_probs: &log_probs[rows.start * size..rows.end * size],
                permit: step.limits.group(group),
                renormalize: step.renormalize,
            }
        };
        // One thread, or 0 for all.
        let threads = usize::from(log_probs.len() <= WORTH_THREADS);
        let not_a_number = std::sync::atomic::AtomicUsize::new(usize::MAX);
        let tasks = beams.chunks_mut(step.beam).enumerate();
        pool::for_each_with(threads, tasks, Scratch::default, |scratch, (group, best)| {
            if let Err(row) = group_of(group).step(scratch, best) {
                not_a_number.fetch_min(row, std::sync::atomic::Ordering::Relaxed);
            }
        });
        match not_a_number.into_inner() {
            usize::MAX => Ok(gather(states.depth + 1, &beams)),
            row => Err(Error::NotFinite {
                what: "log_probs",
                row,
            }),
        }
    }

    /// The items that finished beams lead to: for each group the first `k` that it may get, by falling score of their state, ties by
    /// row and then by item. `scores` is (states); a state of score −∞ leads nowhere.
    ///
    /// Returns items and scores, both (groups, k), filled up with −1 and −∞.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Groups`], [`Error::NotFinite`] as [`Trie::beam_step`].
    pub fn top_items(
        &self,
        states: &States,
        scores: &[f32],
        rows_per_group: usize,
        k: usize,
        limits: &Limits<'_>,
    ) -> Result<(Vec<i64>, Vec<f32>)> {
        check_length("scores", states.len(), scores.len())?;
        let groups = limits.check(self, states.len(), rows_per_group)?;
        if let Some(row) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::NotFinite { what: "scores", row });
        }
        let places = memory::product::<i64>(groups, k);
        let (mut items, mut kept) = (
            memory::filled(-1, places),
            memory::filled(f32::NEG_INFINITY, places),
        );
        let mut order: Vec<usize> = Vec::new();
        for group in 0..groups {
            guard::check();
            let permit = limits.group(group);
            order.clear();
            order.extend(group * rows_per_group..(group + 1) * rows_per_group);
            order.retain(|&row| scores[row] > f32::NEG_INFINITY && !states.spans[row].is_dead());
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let slots = order.iter().flat_map(|&row| {
                let slots = self.slots(states.depth, states.spans[row]);
                slots
                    .filter(|&slot| permit.permits(slot))
                    .map(move |slot| (slot, scores[row]))
            });
            let places = items[group * k..].iter_mut().zip(&mut kept[group * k..]).take(k);
            for ((slot, score), (item, kept)) in slots.zip(places) {
                (*item, *kept) = (i64::from(self.shelves.items[slot]), score);
            }
        }
        Ok((items, kept))
    }
}

/// One prefix of the next beam.
#[derive(Clone, Copy)]
struct Slot {
    score: f32,
    parent: usize,
    code: u16,
    span: Span,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            score: f32::NEG_INFINITY,
            parent: 0,
            code: 0,
            span: Span::DEAD,
        }
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    /// The allowed tokens of a row, as bits.
    allowed: Vec<u64>,
    /// The best candidates so far.
    best: Vec<Candidate>,
}

/// The rows of one request.
struct Group<'a> {
    trie: &'a Trie,
    depth: usize,
    size: usize,
    /// The number of its first row in the batch.
    first: usize,
    spans: &'a [Span],
    scores: &'a [f32],
    log_probs: &'a [f32],
    permit: Permit<'a>,
    renormalize: bool,
}

impl Group<'_> {
    /// Writes the best prefixes, or fails with the first row that holds a NaN.
    fn step(&self, scratch: &mut Scratch, out: &mut [Slot]) -> std::result::Result<(), usize> {
        let mut best = Best {
            kept: std::mem::take(&mut scratch.best),
            beam: out.len(),
            limit: Candidate::MAX,
        };
        best.kept.clear();
        for row in 0..self.spans.len() {
            if !self.spans[row].is_dead() && self.scores[row] > f32::NEG_INFINITY {
                self.offer(row, &mut scratch.allowed, &mut best)?;
            } else if self.scores[row].is_nan() {
                return Err(self.first + row);
            }
        }
        best.prune();
        best.kept.sort_unstable();
        out.fill(Slot {
            parent: self.first,
            ..Slot::default()
        });
        for (slot, candidate) in out.iter_mut().zip(&best.kept) {
            let (row, code) = (candidate.row(), candidate.code());
            let span = self.trie.keys.child(self.depth, self.spans[row], code);
            *slot = Slot {
                score: candidate.score(),
                parent: self.first + row,
                code,
                span,
            };
        }
        scratch.best = best.kept;
        Ok(())
    }

    /// Offers every live child of a row.
    fn offer(&self, row: usize, allowed: &mut Vec<u64>, best: &mut Best) -> std::result::Result<(), usize> {
        let (span, score) = (self.spans[row], self.scores[row]);
        let log_probs = &self.log_probs[row * self.size..][..self.size];
        allowed.resize(self.size.div_ceil(64), 0);
        self.trie.allowed_bits(self.depth, span, allowed);
        let permit = self.permit.narrow(&self.trie.slots(self.depth, span));
        let live =
            |code: usize| permit.is_none_or(|permit| self.trie.leads_to_any(self.depth, span, code, &permit));
        if codes(allowed).any(|code| log_probs[code].is_nan()) {
            return Err(self.first + row);
        }
        let mut total = 0.0;
        if self.renormalize {
            for code in 0..self.size {
                if allowed[code / 64] >> (code % 64) & 1 == 1 && !live(code) {
                    allowed[code / 64] &= !(1 << (code % 64));
                }
            }
            total = log_sum(log_probs, codes(allowed));
        }
        for code in codes(allowed) {
            let sum = if self.renormalize {
                (f64::from(score) + f64::from(log_probs[code]) - total) as f32
            } else {
                score + log_probs[code]
            };
            let candidate = Candidate::new(sum, row, code as u16);
            if candidate < best.limit && sum > f32::NEG_INFINITY && live(code) {
                best.push(candidate);
            }
        }
        Ok(())
    }
}

/// A score, its row and its token in one integer whose order is the beam's: higher score, then lower row, then lower token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate(u64);

impl Candidate {
    /// Worse than any.
    const MAX: Self = Self(u64::MAX);

    fn new(score: f32, row: usize, code: u16) -> Self {
        // Adding zero makes -0.0 equal to 0.0.
        let bits = (score + 0.0).to_bits();
        // The bits of floats ascend with their value once those of negative ones are flipped, so their complement falls.
        let falling = if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits };
        Self(u64::from(falling) << 32 | (row as u64) << 16 | u64::from(code))
    }

    fn score(self) -> f32 {
        let falling = (self.0 >> 32) as u32;
        f32::from_bits(if falling >> 31 == 0 {
            !falling & !(1 << 31)
        } else {
            falling
        })
    }

    fn row(self) -> usize {
        (self.0 >> 16) as usize & (MOST_ROWS - 1)
    }

    fn code(self) -> u16 {
        self.0 as u16
    }
}

/// The best candidates so far, unordered, and up to as many again that wait to be pruned.
struct Best {
    kept: Vec<Candidate>,
    beam: usize,
    /// Only what is below can still be among the best.
    limit: Candidate,
}

impl Best {
    fn push(&mut self, candidate: Candidate) {
        self.kept.push(candidate);
        if self.kept.len() >= 2 * self.beam.max(32) {
            self.prune();
        }
    }

    fn prune(&mut self) {
        if self.kept.len() >= self.beam {
            let (_, &mut limit, _) = self.kept.select_nth_unstable(self.beam - 1);
            self.kept.truncate(self.beam);
            self.limit = limit;
        }
    }
}

/// The positions of the bits that are set, ascending.
fn codes(words: &[u64]) -> impl Iterator<Item = usize> + Clone {
    words.iter().enumerate().flat_map(|(at, &word)| {
        let drop_lowest = |&word: &u64| Some(word & (word - 1)).filter(|&rest| rest != 0);
        let first = Some(word).filter(|&word| word != 0);
        std::iter::successors(first, drop_lowest).map(move |word| at * 64 + word.trailing_zeros() as usize)
    })
}

/// The logarithm of the sum of the probabilities of `codes`; −∞ for none.
fn log_sum(log_probs: &[f32], codes: impl Iterator<Item = usize> + Clone) -> f64 {
    let most = codes
        .clone()
        .fold(f32::NEG_INFINITY, |most, code| most.max(log_probs[code]));
    if most == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let most = f64::from(most);
    codes
        .map(|code| (f64::from(log_probs[code]) - most).exp())
        .sum::<f64>()
        .ln()
        + most
}

fn gather(depth: usize, beams: &[Slot]) -> Beams {
    Beams {
        scores: each(beams, |slot| slot.score),
        parents: each(beams, |slot| slot.parent as i64),
        codes: each(beams, |slot| i64::from(slot.code)),
        states: States {
            depth,
            spans: each(beams, |slot| slot.span),
        },
    }
}

fn each<T>(beams: &[Slot], part: impl Fn(&Slot) -> T) -> Vec<T> {
    memory::check::<T>(beams.len());
    beams.iter().map(part).collect()
}

fn check_length(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        Ok(())
    } else {
        Err(Error::Length { what, expected, got })
    }
}
