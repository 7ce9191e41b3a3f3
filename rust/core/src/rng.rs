//! Random numbers that are the same on every machine and in every version: `SplitMix64`.
//!
//! Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014.

use std::collections::HashMap;

/// A sample of less than one number in so many is drawn without a list of all.
const SPARSE: usize = 16;

/// A stream of random numbers that its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream for one place of a larger computation, so that places can be drawn in any order.
    pub(crate) fn at(seed: u64, place: u64) -> Self {
        Self(mix(seed.wrapping_add(mix(place))))
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `0..bound`; `bound` must not be 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // The bias of a widening multiplication is under bound / 2^64.
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * f64::EPSILON / 2.0
    }

    /// `count` different numbers of `0..bound` in random order; `count` must not exceed `bound`.
    pub(crate) fn sample(&mut self, bound: usize, count: usize) -> Vec<usize> {
        if count < bound / SPARSE {
            return self.sparse_sample(bound, count);
        }
        let mut numbers: Vec<usize> = (0..bound).collect();
        for place in 0..count {
            let other = place + self.below(bound - place);
            numbers.swap(place, other);
        }
        numbers.truncate(count);
        numbers
    }

    /// As `sample`, in memory for `count` numbers: only those that a swap has put elsewhere are kept.
    fn sparse_sample(&mut self, bound: usize, count: usize) -> Vec<usize> {
        let mut moved: HashMap<usize, usize> = HashMap::with_capacity(2 * count);
        let mut numbers = Vec::with_capacity(count);
        for place in 0..count {
            let other = place + self.below(bound - place);
            let here = moved.get(&place).copied().unwrap_or(place);
            let there = moved.insert(other, here).unwrap_or(other);
            numbers.push(if other == place { here } else { there });
        }
        numbers
    }

    /// Moves the stream behind what `sample` draws.
    pub(crate) fn skip_sample(&mut self, count: usize) {
        self.0 = self
            .0
            .wrapping_add(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(count as u64));
    }
}

pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_never_changes() {
        let mut rng = Rng::new(1_234_567);
        let numbers = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn samples_are_different_numbers_below_the_bound() {
        let mut sample = Rng::new(5).sample(100, 60);
        sample.sort_unstable();
        sample.dedup();
        assert_eq!(sample.len(), 60);
        assert!(sample[59] < 100);
    }

    #[test]
    fn sparse_samples_are_those_of_the_list_of_all() {
        for (bound, count) in [(1, 0), (40, 2), (1000, 60), (5000, 300)] {
            let (mut all, mut sparse, mut skipped) = (Rng::new(3), Rng::new(3), Rng::new(3));
            let mut numbers: Vec<usize> = (0..bound).collect();
            for place in 0..count {
                let other = place + all.below(bound - place);
                numbers.swap(place, other);
            }
            numbers.truncate(count);
            assert_eq!(sparse.sparse_sample(bound, count), numbers);
            skipped.skip_sample(count);
            let next = all.next_u64();
            assert_eq!((sparse.next_u64(), skipped.next_u64()), (next, next));
        }
    }

    #[test]
    fn units_fill_the_interval() {
        let mut rng = Rng::new(9);
        let mean = (0..10_000).map(|_| rng.unit()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.02);
    }
}
