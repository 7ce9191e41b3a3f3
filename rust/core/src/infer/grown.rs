//! A tree with new items: what was there keeps its order, and the new Semantic IDs are merged in.

use super::tree::{Level, NONE, Tree};

/// A tree that is being built, leaf after leaf in the order of the Semantic IDs.
pub(super) struct Builder {
    levels: Vec<Nodes>,
    tokens: Vec<u16>,
    /// Items of each slot.
    items: Vec<u32>,
    /// Number of leaves so far.
    leaves: usize,
    /// Bias of new nodes.
    bias: f32,
}

/// Nodes of a level so far.
#[derive(Default)]
struct Nodes {
    token: Vec<u16>,
    first: Vec<u32>,
    row: Vec<u32>,
    prefix: Vec<u32>,
    bias: Vec<f32>,
}

/// A new item: its Semantic ID, and the row of its vector.
pub(super) struct New<'a> {
    pub(super) tokens: &'a [u16],
    pub(super) item: u32,
    pub(super) row: u32,
}

impl Builder {
    /// Merges new items, ordered by their Semantic IDs, into a tree whose slots hold `items`.
    pub(super) fn merge(tree: &Tree, items: &[u32], new: &[New<'_>], bias: f32) -> Self {
        let mut builder = Self {
            levels: tree.levels.iter().map(|_| Nodes::default()).collect(),
            tokens: Vec::new(),
            items: Vec::with_capacity(items.len() + new.len()),
            leaves: 0,
            bias,
        };
        let mut new = new.iter().peekable();
        let mut walk = Walk::new(tree);
        while walk.next() {
            while let Some(before) = new.next_if(|each| each.tokens < &walk.tokens[..]) {
                builder.add(before);
            }
            builder.keep(tree, &walk, items);
            while let Some(same) = new.next_if(|each| each.tokens == &walk.tokens[..]) {
                builder.items.push(same.item);
            }
        }
        new.for_each(|rest| builder.add(rest));
        builder
    }

    /// The tree, with vectors of nodes where the former one has them, and the items of its slots.
    pub(super) fn tree(mut self, former: &Tree) -> (Tree, Vec<u32>) {
        let below: Vec<u32> = self
            .levels
            .iter()
            .skip(1)
            .map(|nodes| nodes.token.len() as u32)
            .collect();
        let last = self.items.len() as u32;
        for (nodes, below) in self.levels.iter_mut().zip(below.into_iter().chain([last])) {
            nodes.first.push(below);
        }
        let leaves = self.levels.len() - 1;
        let levels = self.levels.into_iter().zip(&former.levels).enumerate();
        let levels = levels.map(|(number, (nodes, level))| Level {
            token: nodes.token.into(),
            first: nodes.first.into(),
            // Leaves no longer stand in the order of their vectors.
            row: (number == leaves || level.row.is_some()).then(|| nodes.row.into()),
            prefix: level.prefix.is_some().then(|| nodes.prefix.into()),
            bias: (self.bias != 0.0 || level.bias.is_some()).then(|| nodes.bias.into()),
        });
        let tree = Tree::new(levels.collect());
        (tree, self.items)
    }

    /// Adds the leaf at which a walk stands.
    fn keep(&mut self, tree: &Tree, walk: &Walk, items: &[u32]) {
        let opened = self.open(&walk.tokens);
        for (number, (nodes, level)) in self.levels.iter_mut().zip(&tree.levels).enumerate() {
            let node = walk.path[number];
            let last = nodes.token.len() - 1;
            // A new item may have opened a node that was there before.
            nodes.row[last] = level.row(node) as u32;
            nodes.prefix[last] = level.prefix.as_ref().map_or(NONE, |prefix| prefix[node]);
            nodes.bias[last] = level.bias.as_ref().map_or(0.0, |bias| bias[node]);
        }
        debug_assert!(opened, "each former leaf comes once");
        let leaf = walk.path[tree.levels.len() - 1];
        self.leaves += 1;
        let slots = tree.levels[tree.levels.len() - 1].children(leaf);
        self.items.extend_from_slice(&items[slots]);
    }

    fn add(&mut self, new: &New<'_>) {
        if self.open(new.tokens) {
            self.leaves += 1;
            for nodes in &mut self.levels {
                // A prefix of one leaf has the leaf's vector.
                if let Some(row) = nodes.row.last_mut().filter(|row| **row == NONE) {
                    *row = new.row;
                }
            }
        }
        self.items.push(new.item);
    }

    /// Opens the nodes of a Semantic ID that the one before has not; returns whether there are any.
    fn open(&mut self, tokens: &[u16]) -> bool {
        let same = if self.leaves == 0 {
            0
        } else {
            self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count()
        };
        for (level, &token) in tokens.iter().enumerate().skip(same) {
            let below = match self.levels.get(level + 1) {
                Some(below) => below.token.len(),
                None => self.items.len(),
            };
            let nodes = &mut self.levels[level];
            nodes.token.push(token);
            nodes.first.push(below as u32);
            nodes.row.push(NONE);
            nodes.prefix.push(NONE);
            nodes.bias.push(self.bias);
        }
        self.tokens.clear();
        self.tokens.extend_from_slice(tokens);
        same < tokens.len()
    }

    /// The rows of the trained prefixes of a Semantic ID of the tree, the last level left out.
    pub(super) fn prefixes<'a>(tree: &'a Tree, tokens: &'a [u16]) -> impl Iterator<Item = u32> + 'a {
        let mut nodes = Some(0..tree.levels.first().map_or(0, Level::len));
        tree.levels
            .iter()
            .zip(tokens)
            .map(move |(level, &token)| {
                let range = nodes.take()?;
                let place = range.start + level.token[range.clone()].binary_search(&token).ok()?;
                nodes = Some(level.children(place));
                level.prefix.as_ref().map(|prefix| prefix[place])
            })
            .map(|row| row.unwrap_or(NONE))
    }
}

/// A walk over the leaves of a tree.
struct Walk<'a> {
    tree: &'a Tree,
    /// The node of each level.
    path: Vec<usize>,
    tokens: Vec<u16>,
    leaf: usize,
}

impl<'a> Walk<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            path: vec![0; tree.levels.len()],
            tokens: vec![0; tree.levels.len()],
            leaf: 0,
        }
    }

    /// Moves to the next leaf; false behind the last.
    fn next(&mut self) -> bool {
        let last = self.tree.levels.len() - 1;
        if self.leaf == self.tree.levels[last].len() {
            return false;
        }
        self.path[last] = self.leaf;
        for level in (0..last).rev() {
            let nodes = &self.tree.levels[level];
            // Nodes move on by one at a time.
            if nodes.children(self.path[level]).end <= self.path[level + 1] {
                self.path[level] += 1;
            }
        }
        for ((token, level), &node) in self.tokens.iter_mut().zip(&self.tree.levels).zip(&self.path) {
            *token = level.token[node];
        }
        self.leaf += 1;
        true
    }
}
