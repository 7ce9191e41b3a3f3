//! The sorted keys, as a directory over the head levels and one column of tokens for each tail level.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for newer processors"
)]

use std::ops::Range;

use super::fan::{Fan, FanBuilder, block_bits, row_words};
use super::level::Level;
use super::prefetch::{TOGETHER, prefetch, prefetch_run};
use super::walk::Span;
use crate::array::Array;
use crate::guard::{self, Steps};
use crate::memory;
use crate::sid::{Key, SidLayout};

/// Sorted distinct keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// The number of tokens of each level.
    sizes: Vec<u32>,
    /// For each head level, how many bits of the directory's index lie below its token. Its length is the number of
    /// head levels.
    below: Vec<u32>,
    /// `directory[p]` is the position of the first key whose head bits are `p` or more; `2^head bits + 1` entries,
    /// so that `directory[p]..directory[p + 1]` are the keys of one head.
    pub(super) directory: Array<u32>,
    /// The tokens of each level below the head, by position; sorted within any range that shares the levels above.
    pub(super) tail: Vec<Column>,
    /// The tokens that follow crowded states, for each level.
    pub(super) fans: Vec<Fan>,
}

/// The tokens of one level, as narrow as its number of tokens allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// At most 256 tokens.
    Narrow(Array<u8>),
    /// More.
    Wide(Array<u16>),
}

impl Column {
    /// The column of `tokens` of a level with `size` tokens.
    pub(super) fn of(size: u32, tokens: impl Iterator<Item = u16>) -> Self {
        if size <= 256 {
            Self::Narrow(tokens.map(|token| token as u8).collect::<Vec<_>>().into())
        } else {
            Self::Wide(tokens.collect::<Vec<_>>().into())
        }
    }
}

/// Parts of a column.
pub(super) trait Token: Copy + Ord {
    /// The token it stands for.
    fn code(self) -> u16;
}

impl Token for u8 {
    fn code(self) -> u16 {
        self.into()
    }
}

impl Token for u16 {
    fn code(self) -> u16 {
        self
    }
}

/// Runs `$body` with `$tokens` bound to the slice of a column, once for each width.
macro_rules! with_tokens {
    ($column:expr, $tokens:ident => $body:expr) => {
        match $column {
            $crate::trie::columns::Column::Narrow(column) => {
                let $tokens = &column[..];
                $body
            }
            $crate::trie::columns::Column::Wide(column) => {
                let $tokens = &column[..];
                $body
            }
        }
    };
}
pub(super) use with_tokens;

/// Number of levels the directory resolves: as many as have no more slots than there are keys.
pub(super) fn head_levels(layout: &SidLayout, keys: usize) -> usize {
    let most = keys.max(1).ilog2();
    let mut bits = 0;
    let fits = |&&level: &&u32| {
        bits += level;
        bits <= most
    };
    layout.bits().iter().take_while(fits).count()
}

/// A head level has bitmaps from this many bits on; below, its few tokens are tried one by one.
const FAN_BITS: u32 = 6;

impl Columns {
    /// The columns of keys that are sorted, distinct and valid under `layout`; fewer than `u32::MAX` of them.
    pub(super) fn build<K: Key>(layout: &SidLayout, keys: &[K]) -> Self {
        let head = head_levels(layout, keys.len());
        let rest = layout.bits_below(head);
        let slots = 1_usize << (layout.total_bits() - rest);
        let mut directory = memory::filled(0_u32, slots + 1);
        let mut steps = Steps::default();
        for key in keys {
            steps.step();
            let slot = key.to_u128().checked_shr(rest).unwrap_or(0) as usize;
            directory[slot + 1] += 1;
        }
        let mut total = 0;
        for entry in &mut directory {
            total += *entry;
            *entry = total;
        }
        let column = |level| {
            guard::check();
            let tokens = keys.iter().map(|&key| layout.token(key, level));
            Column::of(layout.sizes()[level], tokens)
        };
        let tail = (head..layout.levels()).map(column).collect();
        let mut columns = Self::new(layout, head, directory.into(), tail, Vec::new());
        columns.fans = columns.build_fans(layout);
        columns
    }

    /// Puts the parts together.
    pub(super) fn new(
        layout: &SidLayout,
        head: usize,
        directory: Array<u32>,
        tail: Vec<Column>,
        fans: Vec<Fan>,
    ) -> Self {
        let total = layout.bits_below(head);
        let below = (1..=head).map(|depth| layout.bits_below(depth) - total).collect();
        Self {
            sizes: layout.sizes().to_vec(),
            below,
            directory,
            tail,
            fans,
        }
    }

    /// The bitmaps of all crowded states.
    pub(super) fn build_fans(&self, layout: &SidLayout) -> Vec<Fan> {
        let mut fans: Vec<Fan> = (0..self.head())
            .map(|depth| self.head_fan(depth, layout.bits()[depth]))
            .collect();
        let heads = self.directory.windows(2).map(|ends| Span::new(ends[0], ends[1]));
        // No state with fewer keys is crowded, nor is any below it.
        let mut states: Vec<Span> = heads
            .filter(|span| span.hi - span.lo > 1 << block_bits(1))
            .collect();
        for depth in self.head()..self.sizes.len() {
            let mut fan = FanBuilder::new(self.sizes[depth], self.len());
            let mut next = Vec::new();
            let block = 1 << block_bits(self.sizes[depth]);
            with_tokens!(&self.tail[depth - self.head()], tokens => {
                let mut steps = Steps::default();
                for span in states {
                    steps.step();
                    let run = &tokens[span.lo as usize..span.hi as usize];
                    if span.hi - span.lo > block {
                        mark(run, fan.add(span.lo));
                    }
                    if depth + 1 < self.sizes.len() {
                        long_runs(run, span.lo, 1 << block_bits(1), &mut next);
                    }
                }
            });
            states = next;
            fans.push(fan.finish());
        }
        fans
    }

    /// A bitmap for every prefix of `depth` tokens.
    fn head_fan(&self, depth: usize, bits: u32) -> Fan {
        let words = row_words(self.sizes[depth]);
        if bits < FAN_BITS {
            return Fan::default();
        }
        let prefixes = self.slots() >> self.below[depth] >> bits;
        let mut rows = vec![0; prefixes * words];
        let (directory, below) = (&self.directory[..], self.below[depth]);
        for (prefix, row) in rows.chunks_exact_mut(words).enumerate() {
            let first = prefix << bits << below;
            for code in 0..self.sizes[depth] as usize {
                let slot = first + (code << below);
                row[code / 64] |= u64::from(directory[slot] < directory[slot + (1 << below)]) << (code % 64);
            }
        }
        Fan {
            words,
            rows: rows.into(),
            ..Fan::default()
        }
    }

    /// Number of keys.
    pub(super) fn len(&self) -> u32 {
        self.directory[self.slots()]
    }

    /// Number of levels the directory resolves.
    pub(super) fn head(&self) -> usize {
        self.below.len()
    }

    fn slots(&self) -> usize {
        self.directory.len() - 1
    }

    /// The state of the empty prefix.
    pub(super) fn root(&self) -> Span {
        if self.len() == 0 {
            Span::DEAD
        } else if self.head() == 0 {
            Span::new(0, self.len())
        } else {
            Span::new(0, self.slots() as u32)
        }
    }

    /// The positions of the keys under a state of `depth` tokens.
    pub(super) fn positions(&self, depth: usize, span: Span) -> Range<u32> {
        if depth < self.head() {
            self.directory[span.lo as usize]..self.directory[span.hi as usize]
        } else {
            span.lo..span.hi
        }
    }

    /// Where `token`, a token of the level at `depth`, leads.
    pub(super) fn child(&self, depth: usize, span: Span, token: u16) -> Span {
        if span.is_dead() {
            return Span::DEAD;
        }
        if depth < self.head() {
            return self.slot_child(depth, span.lo, token);
        }
        let child = with_tokens!(&self.tail[depth - self.head()], tokens => narrow(tokens, span, token));
        if child.is_dead() { Span::DEAD } else { child }
    }

    /// Where `token` leads from the head state whose first slot is `slot`.
    pub(super) fn slot_child(&self, depth: usize, slot: u32, token: u16) -> Span {
        let below = self.below[depth];
        let first = slot + (u32::from(token) << below);
        let (first, last) = (first as usize, first as usize + (1 << below));
        let (lo, hi) = (self.directory[first], self.directory[last]);
        if lo == hi {
            Span::DEAD
        } else if depth + 1 == self.head() {
            Span::new(lo, hi)
        } else {
            Span::new(first as u32, last as u32)
        }
    }

    /// One level, for states that are about to read it.
    pub(super) fn level(&self, depth: usize) -> Level<'_> {
        let size = self.sizes[depth];
        match depth.checked_sub(self.head()) {
            Some(tail) => Level::tail(size, &self.fans[depth], &self.tail[tail]),
            None => Level::head(self, depth, size, &self.fans[depth]),
        }
    }

    /// Number of bits of the directory's index below the token of a head level.
    pub(super) fn bits_below(&self, depth: usize) -> u32 {
        self.below[depth]
    }

    /// The states of the first `depth` tokens of valid keys. Keys take each step together, so that their loads overlap.
    #[inline(always)]
    pub(super) fn find<K: Key>(&self, layout: &SidLayout, keys: &[K], depth: usize, out: &mut [Span]) {
        let (head, rest) = (self.head(), layout.bits_below(self.head()));
        let directory = &self.directory[..];
        for (keys, spans) in keys.chunks(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
            if depth < head {
                for (key, span) in keys.iter().zip(spans) {
                    let step = |span, level| self.child(level, span, layout.token(*key, level));
                    *span = (0..depth).fold(self.root(), step);
                }
                continue;
            }
            for (key, span) in keys.iter().zip(&mut *spans) {
                span.lo = key.to_u128().checked_shr(rest).unwrap_or(0) as u32;
                prefetch(directory, span.lo as usize);
            }
            for span in &mut *spans {
                let slot = span.lo as usize;
                *span = Span::new(directory[slot], directory[slot + 1]);
            }
            for level in head..depth {
                with_tokens!(&self.tail[level - head], tokens => {
                    for span in &*spans {
                        prefetch_run(tokens, span.lo as usize, span.hi as usize);
                    }
                    for (key, span) in keys.iter().zip(&mut *spans) {
                        *span = narrow(tokens, *span, layout.token(*key, level));
                    }
                });
            }
            spans
                .iter_mut()
                .filter(|span| span.is_dead())
                .for_each(|span| *span = Span::DEAD);
        }
    }

    /// Number of keys below `key`, and whether the key itself is here.
    pub(super) fn rank(&self, layout: &SidLayout, key: u128) -> (u32, bool) {
        let slot = key.checked_shr(layout.bits_below(self.head())).unwrap_or(0) as usize;
        let mut span = Span::new(self.directory[slot], self.directory[slot + 1]);
        for (column, level) in self.tail.iter().zip(self.head()..) {
            let token = layout.token(<[u64; 2]>::from_u128(key), level);
            with_tokens!(column, tokens => {
                let next = narrow(tokens, span, token);
                if next.is_dead() {
                    let run = &tokens[span.lo as usize..span.hi as usize];
                    return (span.lo + run.partition_point(|d| d.code() < token) as u32, false);
                }
                span = next;
            });
        }
        (span.lo, !span.is_dead())
    }

    /// The key at a position.
    pub(super) fn key(&self, layout: &SidLayout, position: u32) -> u128 {
        let slot = self.directory.partition_point(|&start| start <= position) - 1;
        let mut key = slot as u128;
        for (column, bits) in self.tail.iter().zip(&layout.bits()[self.head()..]) {
            let token = with_tokens!(column, tokens => tokens[position as usize].code());
            key = key << bits | u128::from(token);
        }
        key
    }
}

/// The part of a run of sorted tokens that equals `token`.
#[inline(always)]
fn narrow<D: Token>(tokens: &[D], span: Span, token: u16) -> Span {
    let run = &tokens[span.lo as usize..span.hi as usize];
    if let [only] = run {
        return Span::new(span.lo, span.lo + u32::from(only.code() == token));
    }
    let start = run.partition_point(|&d| d.code() < token);
    let length = run[start..]
        .iter()
        .take(4)
        .take_while(|d| d.code() == token)
        .count();
    let length = if length < 4 {
        length
    } else {
        run[start..].partition_point(|&d| d.code() == token)
    };
    Span::new(span.lo + start as u32, span.lo + (start + length) as u32)
}

/// Sets the bits of sorted tokens, a word at a time.
fn mark<D: Token>(tokens: &[D], row: &mut [u64]) {
    let (mut at, mut word) = (0, 0);
    for token in tokens {
        let code = usize::from(token.code());
        if code / 64 != at {
            row[at] |= word;
            (at, word) = (code / 64, 0);
        }
        word |= 1 << (code % 64);
    }
    row[at] |= word;
}

/// Appends the runs of equal tokens that are longer than `block`, as states; `tokens` are sorted and begin at position `lo`. No
/// shorter run is crowded at any level below, since no level has smaller blocks.
fn long_runs<D: Token>(tokens: &[D], lo: u32, block: u32, runs: &mut Vec<Span>) {
    let block = block as usize;
    let Some(ahead) = tokens.get(block..) else { return };
    // In a sorted sequence that is what a long run takes, and most states have none.
    if ahead.iter().zip(tokens).filter(|(a, b)| a == b).count() == 0 {
        return;
    }
    let mut at = 0;
    for run in tokens.chunk_by(|a, b| a == b) {
        if run.len() > block {
            runs.push(Span::new(lo + at as u32, lo + (at + run.len()) as u32));
        }
        at += run.len();
    }
}
