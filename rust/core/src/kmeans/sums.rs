//! Sums of the rows of clusters, in one order for any division of the rows.
//!
//! Rows are summed in blocks of [`SUM_ROWS`], in row order within a block, and blocks in a binary tree: node `i` of level `l` is
//! the sum of nodes `2i` and `2i + 1` of level `l - 1`; a node without rows adds nothing. Whoever holds the blocks of a node can
//! compute it alone, so that the sums of shards add up to the same bits as those of one machine.

use crate::assign::drift::add_rows;
use crate::pool;

use super::{members, row};

/// Rows of one block.
pub const SUM_ROWS: usize = 1 << 16;

/// A node of the tree: its level, and its number in the level.
pub type Node = (u32, u64);

/// The node above all of `count` rows.
pub(super) fn root(count: usize) -> Node {
    (count.div_ceil(SUM_ROWS).max(1).next_power_of_two().ilog2(), 0)
}

/// The fewest nodes whose blocks are those of `count` rows from row `first` on, a multiple of [`SUM_ROWS`].
pub(super) fn nodes(first: u64, count: usize) -> Vec<Node> {
    let (mut at, end) = (
        first / SUM_ROWS as u64,
        (first + count as u64).div_ceil(SUM_ROWS as u64),
    );
    let mut nodes = Vec::new();
    while at < end {
        let aligned = if at == 0 { 63 } else { at.trailing_zeros() };
        let level = aligned.min((end - at).ilog2());
        nodes.push((level, at >> level));
        at += 1 << level;
    }
    nodes
}

/// Rows of which some are summed.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) values: &'a [f32],
    pub(super) dim: usize,
    /// The number of the first row.
    pub(super) first: u64,
    pub(super) threads: usize,
}

impl Rows<'_> {
    /// The sums of the rows of each code under `node`, `codes × dim`; zeros for a code without rows.
    pub(super) fn sums(&self, assignment: &[u16], codes: usize, node: Node) -> Vec<f64> {
        let members = members(assignment, codes);
        let mut sums = vec![0.0; codes * self.dim];
        let tasks = sums.chunks_exact_mut(self.dim).zip(&members);
        pool::for_each_with(
            self.threads,
            tasks,
            || vec![0.0; node.0 as usize * self.dim],
            |scratch, (sums, members)| self.add(node, self.within(members, node), sums, scratch),
        );
        sums
    }

    /// Puts the sum of `members`, all of which are under `node`, into `sums`, which are zeros.
    fn add(&self, (level, number): Node, members: &[u32], sums: &mut [f64], scratch: &mut [f64]) {
        if members.is_empty() {
            return;
        }
        let Some(below) = level.checked_sub(1) else {
            let rows = members
                .iter()
                .map(|&member| row(self.values, self.dim, member as usize));
            add_rows(sums, rows);
            return;
        };
        let halves = [(below, 2 * number), (below, 2 * number + 1)];
        let [left, right] = halves.map(|half| self.within(members, half));
        if left.is_empty() || right.is_empty() {
            // The scratch is as deep as the levels below need.
            self.add(halves[usize::from(left.is_empty())], members, sums, scratch);
            return;
        }
        let (other, scratch) = scratch.split_at_mut(self.dim);
        self.add(halves[0], left, sums, scratch);
        other.fill(0.0);
        self.add(halves[1], right, other, scratch);
        for (sum, other) in sums.iter_mut().zip(other) {
            *sum += *other;
        }
    }

    /// The members, which ascend, under a node.
    fn within<'m>(&self, members: &'m [u32], (level, number): Node) -> &'m [u32] {
        let block = |member: u32| (self.first + u64::from(member)) / SUM_ROWS as u64;
        let start = members.partition_point(|&member| block(member) >> level < number);
        let length = members[start..].partition_point(|&member| block(member) >> level == number);
        &members[start..start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_cover_the_blocks_once_and_are_aligned() {
        for first in 0..40_u64 {
            for blocks in 1..40_usize {
                let mut at = first;
                for (level, number) in nodes(first * SUM_ROWS as u64, blocks * SUM_ROWS) {
                    assert_eq!(number << level, at);
                    at += 1 << level;
                }
                assert_eq!(at, first + blocks as u64);
            }
        }
    }

    #[test]
    fn the_root_is_above_all_rows() {
        for (count, level) in [
            (0, 0),
            (1, 0),
            (SUM_ROWS, 0),
            (SUM_ROWS + 1, 1),
            (5 * SUM_ROWS, 3),
        ] {
            assert_eq!(root(count), (level, 0));
        }
    }
}
