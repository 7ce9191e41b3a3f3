//! The tokens of a short run as a row of bits.

use super::columns::Token;

/// Sets the bits of the tokens in a run of tokens; `row` has a bit for each token of the level, and comes as zeros.
pub(super) fn set_bits<D: Token>(run: &[D], row: &mut [u64]) {
    if let [only] = run {
        row[usize::from(only.code()) / 64] |= 1 << (only.code() % 64);
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if row.len() <= 4 && is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 was detected.
        let bits = unsafe { bits_of_256(run) };
        row.copy_from_slice(&bits[..row.len()]);
        return;
    }
    for token in run {
        row[usize::from(token.code()) / 64] |= 1 << (token.code() % 64);
    }
}

/// The bits of tokens below 256, kept in one register: neighbours in a sorted run mostly meet in one word, and in memory each would
/// have to wait for the one before.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn bits_of_256<D: Token>(run: &[D]) -> [u64; 4] {
    use std::arch::x86_64::{
        __m256i, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256,
        _mm256_sllv_epi64, _mm256_sub_epi64,
    };
    const TOGETHER: usize = 8;
    let (one, firsts) = (_mm256_set1_epi64x(1), _mm256_set_epi64x(192, 128, 64, 0));
    let bit = |token: D| -> __m256i {
        // A distance of 64 and more, or below 0, shifts the one out.
        let distance = _mm256_sub_epi64(_mm256_set1_epi64x(token.code().into()), firsts);
        _mm256_sllv_epi64(one, distance)
    };
    let mut bits = _mm256_setzero_si256();
    let (groups, rest) = run.as_chunks::<TOGETHER>();
    for group in groups {
        for &token in group {
            bits = _mm256_or_si256(bits, bit(token));
        }
    }
    if let Some(&last) = rest.last() {
        // As many as in a group, the last one again and again: how long a run is, no processor foresees.
        for i in 0..TOGETHER - 1 {
            bits = _mm256_or_si256(bits, bit(*rest.get(i).unwrap_or(&last)));
        }
    }
    // SAFETY: both are 32 bytes, and any bytes are numbers.
    unsafe { std::mem::transmute::<__m256i, [u64; 4]>(bits) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_token_sets_its_bit(mut run in prop::collection::vec(any::<u8>(), 0..70), wide in 4..7_usize) {
            run.sort_unstable();
            for words in [4, wide] {
                let (mut row, mut expected) = (vec![0; words], vec![0; words]);
                set_bits(&run, &mut row);
                for &token in &run {
                    expected[usize::from(token) / 64] |= 1 << (token % 64);
                }
                prop_assert_eq!(row, expected);
            }
        }
    }
}
