//! The hashes behind n-gram rows. Version 1: these functions never change, golden vectors in the tests pin them.
//!
//! They are defined on integers, not on bytes in memory, so that every machine computes the same.

/// Scrambles 64 bits, one to one: two rounds of xor-shift and multiply.
///
/// The constants are those of the `SplitMix64` generator (Steele, Lea and Flood, OOPSLA 2014).
#[must_use]
#[inline]
pub const fn mix64(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Maps a uniform 64-bit `hash` onto `0..rows`: the high word of their product.
///
/// No division, and no row is favoured by more than `rows / 2^64` (Lemire, ACM TOMACS 29(1), 2019).
#[must_use]
#[inline]
pub const fn multiply_high(hash: u64, rows: u64) -> u64 {
    ((hash as u128 * rows as u128) >> 64) as u64
}

/// [`multiply_high`] for up to 2^32 rows, in halves that vector registers can multiply.
#[must_use]
#[inline]
pub(crate) const fn multiply_high_32(hash: u64, rows: u64) -> u64 {
    let low = (hash & 0xffff_ffff) * rows;
    ((hash >> 32) * rows + (low >> 32)) >> 32
}

/// The first half of `MurmurHash3_x64_128` (Appleby, public domain) of `key` as 8 little-endian bytes:
/// what `mmh3.hash64(key_bytes, seed, signed=False)[0]` gives in Python.
#[must_use]
pub const fn murmur3_8(key: u64, seed: u32) -> u64 {
    murmur3_end(seed as u64 ^ scramble_first(key), seed as u64, 8)
}

/// As [`murmur3_8`] for `key` as 16 little-endian bytes.
#[must_use]
pub const fn murmur3_16(key: u128, seed: u32) -> u64 {
    let h1 = (seed as u64 ^ scramble_first(key as u64)).rotate_left(27);
    let h1 = h1
        .wrapping_add(seed as u64)
        .wrapping_mul(5)
        .wrapping_add(0x52dc_e729);
    let h2 = (seed as u64 ^ scramble_second((key >> 64) as u64)).rotate_left(31);
    let h2 = h2.wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    murmur3_end(h1, h2, 16)
}

const fn murmur3_end(h1: u64, h2: u64, length: u64) -> u64 {
    let (h1, h2) = (h1 ^ length, h2 ^ length);
    let h1 = h1.wrapping_add(h2);
    let h2 = h2.wrapping_add(h1);
    murmur3_finish(h1).wrapping_add(murmur3_finish(h2))
}

const fn scramble_first(k: u64) -> u64 {
    k.wrapping_mul(0x87c3_7b91_1142_53d5)
        .rotate_left(31)
        .wrapping_mul(0x4cf5_ad43_2745_937f)
}

const fn scramble_second(k: u64) -> u64 {
    k.wrapping_mul(0x4cf5_ad43_2745_937f)
        .rotate_left(33)
        .wrapping_mul(0x87c3_7b91_1142_53d5)
}

const fn murmur3_finish(x: u64) -> u64 {
    let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}
