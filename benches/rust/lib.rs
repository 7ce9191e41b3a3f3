//! Worlds to measure in: made of a seed, the same everywhere.

/// Random numbers: `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Nearly normal: the sum of twelve uniform numbers, less six.
    pub fn normal(&mut self) -> f32 {
        let word = [self.bits(), self.bits(), self.bits()];
        let sum: u64 = word
            .iter()
            .flat_map(|word| (0..4).map(move |i| word >> (16 * i) & 0xffff))
            .sum();
        sum as f32 / 65_536.0 - 6.0
    }
}

/// Rows like text embeddings: clusters in space, whose variance falls off along the dimensions.
#[must_use]
pub fn embeddings(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(0x5eed);
    let scale: Vec<f32> = (0..dim)
        .map(|d| 1.0 / (1.0 + d as f32 / dim as f32 * 8.0))
        .collect();
    let clusters: Vec<f32> = (0..64 * dim).map(|i| random.normal() * scale[i % dim]).collect();
    let mut random = Random(seed);
    let mut values = Vec::with_capacity(rows * dim);
    for _ in 0..rows {
        let cluster = (random.bits() % 64) as usize;
        for d in 0..dim {
            values.push(clusters[cluster * dim + d] + random.normal() * scale[d]);
        }
    }
    values
}
