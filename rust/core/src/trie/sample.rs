//! Random items under prefixes.

use std::collections::HashMap;

use super::Trie;
use super::walk::States;
use crate::guard::Steps;
use crate::memory;
use crate::rng::Rng;

impl Trie {
    /// Up to `k` different items under each state, each as likely as any other, in random order: (states, `k`), filled up with −1
    /// where there are fewer. The draw of a row depends on the seed, the row's number and the items under its state alone.
    #[must_use]
    pub fn sample(&self, states: &States, k: usize, seed: u64) -> Vec<i64> {
        let mut items = memory::filled(-1, memory::product::<i64>(states.len(), k));
        let mut steps = Steps::default();
        for (row, &span) in states.spans.iter().enumerate() {
            let slots = self.slots(states.depth, span);
            let mut rng = Rng::at(seed, row as u64);
            // A shuffle cut short after `k` places, where only the places that have changed are kept.
            let mut moved = HashMap::new();
            for (place, item) in items[row * k..(row + 1) * k]
                .iter_mut()
                .enumerate()
                .take(slots.len())
            {
                steps.step();
                let other = place + rng.below(slots.len() - place);
                let here = moved.remove(&place).unwrap_or(place);
                let chosen = if other == place {
                    here
                } else {
                    moved.insert(other, here).unwrap_or(other)
                };
                *item = i64::from(self.shelves.items[slots.start + chosen]);
            }
        }
        items
    }
}
