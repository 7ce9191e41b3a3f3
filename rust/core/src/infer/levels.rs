//! Beam search where not all Semantic IDs are scored: one softmax over the children of each prefix.

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
        for (number, level) in tree.levels.iter().enumerate() {
            let above = number.checked_sub(1).map(|number| &tree.levels[number]);
            let children = |parent: u32| match above {
                Some(above) => above.children(parent as usize),
                None => 0..level.len(),
            };
            frontier.clear();
            for &(_, parent) in best.iter() {
                frontier.extend(children(parent).map(|child| child as u32));
            }
            let scores = room(&mut arena.scores, frontier.len());
            self.score_nodes(&catalogue.vectors, level, hidden, frontier, scores);
            if let Some(bias) = &level.bias {
                for (score, &node) in scores.iter_mut().zip(frontier.iter()) {
                    *score += bias[node as usize];
                }
            }
            top.start(ranking.beam);
            let mut rest = scores;
            let mut nodes = &frontier[..];
            for &(reached, parent) in best.iter() {
                let (siblings, others) = rest.split_at_mut(children(parent).len());
                let passed = reached - log_sum(siblings.iter().copied());
                for (&node, score) in nodes.iter().zip(siblings.iter()) {
                    let score = score + passed;
                    if top.admits(score, node) && filter.permits_any(&tree.slots_of(number, node as usize)) {
                        top.push(score, node);
                    }
                }
                (rest, nodes) = (others, &nodes[siblings.len()..]);
            }
            best.clear();
            best.extend(top.sorted());
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
