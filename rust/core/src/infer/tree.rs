//! The tree of Semantic IDs, by levels.
//!
//! The children of a node are adjacent, and so are the leaves below it and the slots of their items: the leaves stand in
//! the order of their Semantic IDs, and the items of one leaf follow each other in slots.

use std::ops::Range;

use super::file::{Tensors, model};
use crate::array::Array;
use crate::error::Result;
use crate::sid::MAX_LEVELS;

/// The row of a node without a vector.
pub(super) const NONE: u32 = u32::MAX;

/// Levels of nodes, the first tokens first.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) levels: Vec<Level>,
    /// First leaf of each node of the levels above the leaves, and at the end the number of leaves.
    leaf: Vec<Array<u32>>,
}

/// The nodes of a level, ordered by their prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    /// Last token of each prefix.
    pub(super) token: Array<u16>,
    /// First child of each node among the nodes of the next level, below the last level the first slot; and at the end the
    /// number of these.
    pub(super) first: Array<u32>,
    /// Row of each node's vector; none where node i has row i, or where nodes have no vectors.
    pub(super) row: Option<Array<u32>>,
    /// Row of each node among the trained vectors of prefixes, or [`NONE`]; no array where there are none.
    pub(super) prefix: Option<Array<u32>>,
    /// Added to the scores of nodes; no array where it is zero for all.
    pub(super) bias: Option<Array<f32>>,
}

impl Level {
    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.token.len()
    }

    /// The children of a node, or its slots.
    pub(super) fn children(&self, node: usize) -> Range<usize> {
        self.first[node] as usize..self.first[node + 1] as usize
    }

    /// The row of a node's vector.
    pub(super) fn row(&self, node: usize) -> usize {
        self.row.as_ref().map_or(node, |rows| rows[node] as usize)
    }
}

impl Tree {
    /// The tree of a file with `items` items and vectors of `rows` rows.
    pub(super) fn read(tensors: &Tensors, items: usize, rows: usize) -> Result<Self> {
        let mut levels = Vec::new();
        while tensors.has(&format!("tree.{}.token", levels.len())) {
            if levels.len() == MAX_LEVELS {
                return Err(model(format!("expected at most {MAX_LEVELS} levels, got more")));
            }
            levels.push(read_level(tensors, levels.len(), rows)?);
        }
        let below = levels.iter().skip(1).map(Level::len).chain([items]);
        for (number, (level, below)) in levels.iter().zip(below).enumerate() {
            // Each node has a child, so that every prefix leads to an item.
            let ascending = level.first.windows(2).all(|pair| pair[0] < pair[1]);
            let whole = level.first.first() == Some(&0) && level.first.last() == Some(&(below as u32));
            if !(ascending && whole) || level.len() == 0 {
                return Err(model(format!(
                    "`tree.{number}.first`: expected numbers that ascend from 0 to {below}"
                )));
            }
        }
        let leaves = levels
            .last()
            .filter(|level| level.row.is_none())
            .map_or(0, Level::len);
        if leaves > rows {
            return Err(model(format!(
                "expected a vector for each of {leaves} leaves, got {rows}"
            )));
        }
        Ok(Self::new(levels))
    }

    /// The tree of these levels, whose numbers fit each other.
    pub(super) fn new(levels: Vec<Level>) -> Self {
        let mut leaf: Vec<Array<u32>> = Vec::new();
        for level in levels.iter().rev().skip(1) {
            leaf.push(match leaf.last() {
                None => level.first.clone(),
                Some(below) => Array::filled(level.first.len(), |leaf| {
                    for (leaf, &node) in leaf.iter_mut().zip(&level.first[..]) {
                        *leaf = below[node as usize];
                    }
                }),
            });
        }
        leaf.reverse();
        Self { levels, leaf }
    }

    /// The leaves below a node.
    pub(super) fn leaves_of(&self, level: usize, node: usize) -> Range<usize> {
        match self.leaf.get(level) {
            Some(leaf) => leaf[node] as usize..leaf[node + 1] as usize,
            None => node..node + 1,
        }
    }

    /// The slots of the items below a node.
    pub(super) fn slots_of(&self, level: usize, node: usize) -> Range<usize> {
        let leaves = self.leaves_of(level, node);
        let first = &self.levels[self.levels.len() - 1].first;
        first[leaves.start] as usize..first[leaves.end] as usize
    }

    /// The tokens of the Semantic ID of the item in a slot.
    pub(super) fn tokens(&self, slot: usize) -> Vec<u16> {
        let mut tokens = Vec::with_capacity(self.levels.len());
        let mut at = slot;
        for level in self.levels.iter().rev() {
            at = level.first.partition_point(|&first| first as usize <= at) - 1;
            tokens.push(level.token[at]);
        }
        tokens.reverse();
        tokens
    }
}

fn read_level(tensors: &Tensors, level: usize, rows: usize) -> Result<Level> {
    let name = |what: &str| format!("tree.{level}.{what}");
    let nodes = tensors.length(&name("token"))?;
    let row = tensors
        .has(&name("row"))
        .then(|| tensors.take::<u32>(&name("row"), &[nodes]))
        .transpose()?;
    if let Some(wrong) = row
        .as_ref()
        .and_then(|row| row.iter().find(|&&row| row as usize >= rows))
    {
        return Err(model(format!(
            "`{}`: expected rows below {rows}, got {wrong}",
            name("row")
        )));
    }
    Ok(Level {
        token: tensors.take(&name("token"), &[nodes])?,
        first: tensors.take(&name("first"), &[nodes + 1])?,
        row,
        prefix: tensors
            .has(&name("prefix"))
            .then(|| tensors.take(&name("prefix"), &[nodes]))
            .transpose()?,
        bias: tensors
            .has(&name("bias"))
            .then(|| tensors.take_finite(&name("bias"), &[nodes]))
            .transpose()?,
    })
}
