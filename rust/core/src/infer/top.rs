//! The best of many scored candidates, without sorting the others.

/// The best `count` candidates so far. A candidate is a score and a number; of equal scores the lower number is better.
#[derive(Debug, Default)]
pub(super) struct Top {
    /// Unordered, and up to as many again that wait to be pruned.
    kept: Vec<u64>,
    count: usize,
    /// Only what is below can still be among the best.
    limit: u64,
}

impl Top {
    /// Begins again, for the best `count` candidates, at least one.
    pub(super) fn start(&mut self, count: usize) {
        self.kept.clear();
        self.count = count.max(1);
        self.limit = u64::MAX;
    }

    /// True if a candidate can be among the best.
    pub(super) fn admits(&self, score: f32, number: u32) -> bool {
        packed(score, number) < self.limit
    }

    /// A score below which no candidate is among the best.
    pub(super) fn least(&self) -> f32 {
        if self.limit == u64::MAX {
            f32::NEG_INFINITY
        } else {
            unpacked(self.limit).0
        }
    }

    /// Adds a candidate; NaN and -inf are never among the best.
    pub(super) fn push(&mut self, score: f32, number: u32) {
        if score > f32::NEG_INFINITY {
            self.kept.push(packed(score, number));
            if self.kept.len() >= 2 * self.count.max(32) {
                self.prune();
            }
        }
    }

    /// The best candidates, best first.
    pub(super) fn sorted(&mut self) -> impl ExactSizeIterator<Item = (f32, u32)> {
        self.prune();
        self.kept.sort_unstable();
        self.kept.iter().map(|&packed| unpacked(packed))
    }

    fn prune(&mut self) {
        if self.kept.len() >= self.count {
            let (_, &mut limit, _) = self.kept.select_nth_unstable(self.count - 1);
            self.kept.truncate(self.count);
            self.limit = limit;
        }
    }
}

/// A candidate as an integer; the better one is the lower.
fn packed(score: f32, number: u32) -> u64 {
    // Adding zero makes -0.0 equal to 0.0. The bits of floats ascend with their value once those of negative ones are
    // flipped, so their complement falls.
    let bits = (score + 0.0).to_bits();
    let falling = if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits };
    u64::from(falling) << 32 | u64::from(number)
}

fn unpacked(packed: u64) -> (f32, u32) {
    let falling = (packed >> 32) as u32;
    let bits = if falling >> 31 == 0 {
        !falling & !(1 << 31)
    } else {
        falling
    };
    (f32::from_bits(bits), packed as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_best_are_those_of_a_sort() {
        let mut rng = Rng::new(1);
        let mut top = Top::default();
        for count in [1, 5, 40, 200] {
            let mut all: Vec<(f32, u32)> = (0..150)
                .map(|number| (((rng.unit() * 40.0) as f32).floor() - 20.0, number))
                .collect();
            top.start(count);
            for &(score, number) in &all {
                if score >= top.least() && top.admits(score, number) {
                    top.push(score, number);
                }
            }
            top.push(f32::NAN, 7);
            top.push(f32::NEG_INFINITY, 7);
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(count);
            assert_eq!(top.sorted().collect::<Vec<_>>(), all);
        }
    }
}
