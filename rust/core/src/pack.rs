//! The loops behind [`SidLayout`](crate::SidLayout): tokens into words and back, as fast as memory allows.
//!
//! Nothing here can fail halfway: a loop runs through all its rows and says in the end whether every token was one of
//! its level's codes. Only when one was not are the rows looked at again, one by one, to name it.

#![expect(
    clippy::inline_always,
    reason = "what is inlined is compiled again for wider registers"
)]

use std::array;

use crate::sid::Key;

/// Where each token lies in a packed Semantic ID; all slices have one element a level.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Where its lowest bit is; 0 for a token without bits.
    pub shifts: &'a [u32],
    /// As many ones as it has bits.
    pub masks: &'a [u16],
    /// The greatest code of the level.
    pub highest: &'a [u16],
}

/// Packs the rows of `codes` into `out`; returns whether all tokens were in range. The lengths must fit.
pub(crate) fn pack<K: Key>(codes: &[u16], places: Places<'_>, out: &mut [K]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the features that `pack_avx512` asks for were detected.
        return unsafe { pack_avx512(codes, places, out) };
    }
    pack_any(codes, places, out)
}

/// Unpacks `keys` into the rows of `out`; returns whether all tokens were in range. The lengths must fit.
pub(crate) fn unpack<K: Key>(keys: &[K], places: Places<'_>, out: &mut [u16]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the features that `unpack_avx512` asks for were detected.
        return unsafe { unpack_avx512(keys, places, out) };
    }
    unpack_any(keys, places, out)
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

// The same loops, compiled for wider registers: the variable shifts of AVX-512 place eight tokens at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn pack_avx512<K: Key>(codes: &[u16], places: Places<'_>, out: &mut [K]) -> bool {
    pack_any(codes, places, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
fn unpack_avx512<K: Key>(keys: &[K], places: Places<'_>, out: &mut [u16]) -> bool {
    unpack_any(keys, places, out)
}

/// Calls a loop with the number of levels as a constant where it is small, as it nearly always is.
macro_rules! with_levels {
    ($levels:expr, $loop:ident, $general:ident, $($argument:expr),*) => {
        match $levels {
            1 => $loop::<1, K>($($argument),*),
            2 => $loop::<2, K>($($argument),*),
            3 => $loop::<3, K>($($argument),*),
            4 => $loop::<4, K>($($argument),*),
            5 => $loop::<5, K>($($argument),*),
            6 => $loop::<6, K>($($argument),*),
            7 => $loop::<7, K>($($argument),*),
            8 => $loop::<8, K>($($argument),*),
            _ => $general::<K>($($argument),*),
        }
    };
}

#[inline(always)]
fn pack_any<K: Key>(codes: &[u16], places: Places<'_>, out: &mut [K]) -> bool {
    with_levels!(places.shifts.len(), pack_rows, pack_general, codes, places, out)
}

#[inline(always)]
fn unpack_any<K: Key>(keys: &[K], places: Places<'_>, out: &mut [u16]) -> bool {
    with_levels!(
        places.shifts.len(),
        unpack_rows,
        unpack_general,
        keys,
        places,
        out
    )
}

#[inline(always)]
fn pack_rows<const L: usize, K: Key>(codes: &[u16], places: Places<'_>, out: &mut [K]) -> bool {
    let fixed = Fixed::<L>::new(places);
    let mut excess = [0; L];
    for (tokens, key) in codes.as_chunks::<L>().0.iter().zip(out) {
        note_excess(tokens, &fixed.highest, &mut excess);
        *key = K::gather(tokens, fixed.places());
    }
    excess == [0; L]
}

#[inline(always)]
fn unpack_rows<const L: usize, K: Key>(keys: &[K], places: Places<'_>, out: &mut [u16]) -> bool {
    let fixed = Fixed::<L>::new(places);
    let mut excess = [0; L];
    for (&key, tokens) in keys.iter().zip(out.as_chunks_mut::<L>().0) {
        key.scatter(tokens, fixed.places());
        note_excess(tokens, &fixed.highest, &mut excess);
    }
    excess == [0; L]
}

fn pack_general<K: Key>(codes: &[u16], places: Places<'_>, out: &mut [K]) -> bool {
    let mut excess = vec![0; places.shifts.len()];
    for (tokens, key) in codes.chunks_exact(places.shifts.len()).zip(out) {
        note_excess(tokens, places.highest, &mut excess);
        *key = K::gather(tokens, places);
    }
    excess.iter().all(|&excess| excess == 0)
}

fn unpack_general<K: Key>(keys: &[K], places: Places<'_>, out: &mut [u16]) -> bool {
    let mut excess = vec![0; places.shifts.len()];
    for (&key, tokens) in keys.iter().zip(out.chunks_exact_mut(places.shifts.len())) {
        key.scatter(tokens, places);
        note_excess(tokens, places.highest, &mut excess);
    }
    excess.iter().all(|&excess| excess == 0)
}

/// Leaves a non-zero value in the element of each level whose token is beyond its greatest code.
#[inline(always)]
fn note_excess(tokens: &[u16], highest: &[u16], excess: &mut [u16]) {
    for ((&token, &highest), excess) in tokens.iter().zip(highest).zip(excess) {
        *excess |= token.saturating_sub(highest);
    }
}

/// The places of `L` levels by value, so that a loop keeps them in registers.
struct Fixed<const L: usize> {
    shifts: [u32; L],
    masks: [u16; L],
    highest: [u16; L],
}

impl<const L: usize> Fixed<L> {
    #[inline(always)]
    fn new(places: Places<'_>) -> Self {
        Self {
            shifts: array::from_fn(|level| places.shifts[level]),
            masks: array::from_fn(|level| places.masks[level]),
            highest: array::from_fn(|level| places.highest[level]),
        }
    }

    #[inline(always)]
    fn places(&self) -> Places<'_> {
        Places {
            shifts: &self.shifts,
            masks: &self.masks,
            highest: &self.highest,
        }
    }
}
