//! Beam search where not all Semantic IDs are scored: a softmax at each level, over the children of the beam.
//!
//! The probability of the prefixes of a beam is passed on to their children in proportion to the children's scores.

use std::ops::Range;

use super::Model;
use super::catalogue::{Catalogue, Vectors};
use super::encoder::room;
use super::filter::Filter;
use super::products::products;
use super::recommend::{Arena, Ranking, write_leaves};
use super::tree::Level;

impl Model {
    /// Ranks items for the user whose vector is in this place of `arena.hidden`.
    pub(super) fn search_levels(
        &self,
        catalogue: &Catalogue,
        hidden: Range<usize>,
        ranking: &Ranking<'_>,
        filter: &Filter<'_>,
        arena: &mut Arena,
        out: (&mut [i32], &mut [f32]),
    ) {
        let tree = &catalogue.tree;
        let (hidden, top) = (&arena.hidden[hidden], &mut arena.top);
        let (frontier, best) = (&mut arena.frontier, &mut arena.best);
        best.clear();
        best.push((0.0, 0)); // the root
        let last = tree.levels.len() - 1;
        for (number, level) in tree.levels.iter().enumerate() {
            frontier.clear();
            let above = number.checked_sub(1).map(|number| &tree.levels[number]);
            for &(_, parent) in best.iter() {
                let children = above.map_or(0..level.len(), |above| above.children(parent as usize));
                frontier.extend(children.map(|child| child as u32));
            }
            let scores = room(&mut arena.scores, frontier.len());
            self.score_nodes(&catalogue.vectors, level, hidden, frontier, scores);
            if let Some(bias) = catalogue.bias.as_ref().filter(|_| number == last) {
                for (score, &leaf) in scores.iter_mut().zip(frontier.iter()) {
                    *score += bias[leaf as usize];
                }
            }
            let passed = log_sum(best.iter().map(|&(score, _)| score)) - log_sum(scores.iter().copied());
            top.start(ranking.beam);
            for (&node, &score) in frontier.iter().zip(scores.iter()) {
                let slots = || tree.slots_of(number, node as usize);
                if top.admits(score, node) && filter.permits_any(&slots()) {
                    top.push(score, node);
                }
            }
            best.clear();
            best.extend(top.sorted().map(|(score, node)| (score + passed, node)));
            if best.is_empty() || number == last {
                break;
            }
        }
        write_leaves(catalogue, best.iter().copied(), filter, 0.0, out);
    }

    /// Writes the inner product of a vector with that of each node. Neighbouring rows are multiplied together.
    fn score_nodes(
        &self,
        vectors: &Vectors,
        level: &Level,
        hidden: &[f32],
        nodes: &[u32],
        scores: &mut [f32],
    ) {
        let (dim, known) = (vectors.dim, vectors.base_rows());
        let row = |place: usize| level.row(nodes[place] as usize);
        let mut start = 0;
        while start < nodes.len() {
            let first = row(start);
            let mut end = start + 1;
            while first < known && end < nodes.len() && row(end) == first + end - start && row(end) < known {
                end += 1;
            }
            let rows = if first < known {
                &vectors.base[first * dim..(first + end - start) * dim]
            } else {
                vectors.row(first)
            };
            products(
                self.kernel,
                hidden,
                rows,
                dim,
                &mut scores[start..end],
                end - start,
            );
            start = end;
        }
    }
}

/// The logarithm of the sum of exponentials; -inf for none.
fn log_sum(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let most = values.clone().fold(f32::NEG_INFINITY, f32::max);
    if most == f32::NEG_INFINITY {
        return most;
    }
    most + values.map(|value| (value - most).exp()).sum::<f32>().ln()
}
