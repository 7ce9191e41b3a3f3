//! Beam search over the tree, where all Semantic IDs are scored: exact for its beam.
//!
//! The probability of a prefix is the sum of those of the leaves below it, which are adjacent.

use super::filter::Filter;
use super::math;
use super::top::Top;
use super::tree::Tree;
use crate::assign::Kernel;

/// Masses below this are too coarse to compare: then the logarithm is computed from the leaves again.
const COARSE: f32 = 1e-30;
/// Leaves from which a sum in lanes is faster.
const MANY: usize = 32;

/// Scores of all leaves after one history.
#[derive(Clone, Copy)]
pub(super) struct Leaves<'a> {
    pub(super) kernel: Kernel,
    pub(super) tree: &'a Tree,
    pub(super) scores: &'a [f32],
    /// The highest score.
    pub(super) most: f32,
    /// `exp(score - most)` of each leaf.
    pub(super) masses: &'a [f32],
}

impl Leaves<'_> {
    /// A number that ascends with the probability of a node: its mass, or if that is too small the negative logarithm.
    fn key(&self, level: usize, node: usize) -> f32 {
        let leaves = self.tree.leaves_of(level, node);
        let masses = &self.masses[leaves.clone()];
        let mass = if masses.len() < MANY {
            masses.iter().sum()
        } else {
            math::sum(self.kernel, masses)
        };
        if mass >= COARSE {
            return mass;
        }
        let scores = &self.scores[leaves];
        let most = math::maximum(self.kernel, scores);
        let sum: f32 = scores.iter().map(|score| (score - most).exp()).sum();
        most - self.most + sum.ln()
    }

    /// Leaves the `beam` best permitted leaves in `frontier`, best first, keeping as many prefixes at each level.
    pub(super) fn search(&self, filter: &Filter<'_>, beam: usize, top: &mut Top, frontier: &mut Vec<u32>) {
        frontier.clear();
        let last = self.tree.levels.len() - 1;
        for (level, nodes) in self.tree.levels.iter().enumerate() {
            top.start(beam);
            let mut offer = |node: usize| {
                let key = if level == last {
                    self.scores[node]
                } else {
                    self.key(level, node)
                };
                let number = node as u32;
                if top.admits(key, number) && filter.permits_any(&self.tree.slots_of(level, node)) {
                    top.push(key, number);
                }
            };
            if level == 0 {
                (0..nodes.len()).for_each(&mut offer);
            } else {
                let above = &self.tree.levels[level - 1];
                for &parent in frontier.iter() {
                    above.children(parent as usize).for_each(&mut offer);
                }
            }
            frontier.clear();
            frontier.extend(top.sorted().map(|(_, node)| node));
        }
    }
}
