//! Probabilities and searches by their definitions, in f64.

use std::collections::BTreeMap;

use super::*;

impl World {
    /// The scores of prefixes of a length after a history.
    pub fn scores(&self, history: &[usize], length: usize) -> BTreeMap<Vec<u16>, f64> {
        let hidden = self.encode(history);
        let dot = |vector: Vec<f32>| hidden.iter().zip(vector).map(|(a, b)| a * f64::from(b)).sum();
        self.prefixes(length)
            .into_iter()
            .map(|prefix| (prefix.clone(), dot(self.vector(&prefix))))
            .collect()
    }

    /// The log-probability of each item.
    pub fn log_probs(&self, history: &[usize]) -> Vec<f64> {
        let scores = self.scores(history, 3);
        let total = scores.values().map(|score| score.exp()).sum::<f64>().ln();
        self.tokens
            .iter()
            .map(|tokens| scores[&tokens[..]] - total)
            .collect()
    }

    /// These mixed with the graph.
    pub fn fused(&self, history: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.items()];
        for (age, &item) in history.iter().rev().take(GRAPH_ITEMS).enumerate() {
            for &(to, value) in &self.graph[item] {
                sums[to] += RECENCY.powi(age as i32) * f64::from(value);
            }
        }
        let total = sums.iter().sum::<f64>().max(1e-12);
        let shares = sums.iter().map(|sum| (sum / total + 1e-3).ln());
        self.log_probs(history)
            .iter()
            .zip(shares)
            .map(|(p, g)| (1.0 - WEIGHT) * p + WEIGHT * g)
            .collect()
    }

    /// Beam search: the log-probabilities of the items that it finds.
    pub fn beam(
        &self,
        history: &[usize],
        beam: usize,
        permitted: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f64)> {
        let log_probs = self.log_probs(history);
        let leaf = |tokens: &[u16]| {
            (0..self.items())
                .find(|&item| self.tokens[item][..] == *tokens)
                .map(|item| log_probs[item])
        };
        let mut kept: Vec<Vec<u16>> = vec![vec![]];
        for length in 1..=3 {
            let mut found: Vec<(f64, Vec<u16>)> = self
                .prefixes(length)
                .into_iter()
                .filter(|prefix| kept.contains(&prefix[..length - 1].to_vec()))
                .filter(|prefix| {
                    (0..self.items()).any(|item| self.tokens[item].starts_with(prefix) && permitted(item))
                })
                .map(|prefix| {
                    let below = self
                        .prefixes(3)
                        .into_iter()
                        .filter(|leaf| leaf.starts_with(&prefix));
                    (
                        below.map(|each| leaf(&each).unwrap().exp()).sum::<f64>().ln(),
                        prefix,
                    )
                })
                .collect();
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(beam);
            kept = found.into_iter().map(|each| each.1).collect();
        }
        let items = kept
            .iter()
            .flat_map(|leaf| (0..self.items()).filter(move |&item| self.tokens[item][..] == leaf[..]));
        items
            .filter(|&item| permitted(item))
            .map(|item| (item, log_probs[item]))
            .collect()
    }

    /// Beam search with one softmax over the children of each prefix.
    pub fn level_beam(
        &self,
        history: &[usize],
        beam: usize,
        permitted: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f64)> {
        let mut kept: Vec<(f64, Vec<u16>)> = vec![(0.0, vec![])];
        for length in 1..=3 {
            let scores = self.scores(history, length);
            let mut found = vec![];
            for (reached, parent) in kept {
                let children = || {
                    scores
                        .iter()
                        .filter(|(prefix, _)| prefix[..length - 1] == parent[..])
                };
                let total = children().map(|(_, score)| score.exp()).sum::<f64>().ln();
                let live = |prefix: &[u16]| {
                    (0..self.items()).any(|item| self.tokens[item].starts_with(prefix) && permitted(item))
                };
                let live = children().filter(|(prefix, _)| live(prefix));
                found.extend(live.map(|(prefix, score)| (reached + score - total, prefix.clone())));
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(beam);
            kept = found;
        }
        let of = |leaf: &[u16]| {
            (0..self.items())
                .filter(|&item| self.tokens[item][..] == *leaf)
                .collect::<Vec<_>>()
        };
        let items = kept
            .iter()
            .flat_map(|(score, leaf)| of(leaf).into_iter().map(move |item| (item, *score)));
        items.filter(|&(item, _)| permitted(item)).collect()
    }
}
