//! A tree with new items: what was there keeps its order, and the new nodes are inserted between.

use super::tree::{Level, NONE, Tree};
use crate::array::{Array, Number};

/// A new item: its Semantic ID, and the row of its vector.
pub(super) struct New<'a> {
    pub(super) tokens: &'a [u16],
    pub(super) item: u32,
    pub(super) row: u32,
}

/// A tree with new items.
pub(super) struct Grown {
    pub(super) tree: Tree,
    /// The item in each slot.
    pub(super) items: Array<u32>,
    /// The row of the vector of each new item, in their order: an item under a known Semantic ID has the vector of that.
    pub(super) rows: Vec<u32>,
}

/// Inserts new items, ordered by their Semantic IDs, into a tree whose slots hold `items`. `bias` is that of new nodes.
pub(super) fn grow(tree: &Tree, items: &[u32], new: &[New<'_>], bias: f32) -> Grown {
    let plan = Plan::new(tree, new);
    let last = tree.levels.len() - 1;
    let levels = tree.levels.iter().enumerate().map(|(number, level)| {
        let (here, below) = (&plan.inserted[number], &plan.inserted[number + 1]);
        let value = |value| vec![value; here.at.len()];
        Level {
            token: spliced(&level.token, &here.at, &here.token),
            first: spliced_and_moved(&level.first, here, &below.moved),
            // Leaves no longer stand in the order of their vectors.
            row: match &level.row {
                Some(row) => Some(spliced(row, &here.at, &here.row)),
                None if number == last => {
                    let row: Vec<u32> = (0..level.len() as u32).collect();
                    Some(spliced(&row, &here.at, &here.row))
                }
                None => None,
            },
            prefix: level
                .prefix
                .as_ref()
                .map(|prefix| spliced(prefix, &here.at, &vec![NONE; here.at.len()])),
            bias: match &level.bias {
                Some(old) => Some(spliced(old, &here.at, &value(bias))),
                None if bias != 0.0 => Some(spliced(&vec![0.0; level.len()], &here.at, &value(bias))),
                None => None,
            },
        }
    });
    let tree = Tree::new(levels.collect());
    let slots = plan.inserted.last().map_or(&[][..], |slots| &slots.at);
    let new: Vec<u32> = new.iter().map(|each| each.item).collect();
    Grown {
        tree,
        items: spliced(items, slots, &new),
        rows: plan.rows,
    }
}

/// The rows of the trained prefixes of a Semantic ID of the tree, [`NONE`] for each that is not trained.
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

/// What is inserted into each level, and at the end into the slots.
struct Plan {
    inserted: Vec<Inserted>,
    rows: Vec<u32>,
}

/// New nodes of a level, in order.
#[derive(Default)]
struct Inserted {
    /// The former node before which each stands.
    at: Vec<u32>,
    /// The first former node of the level above whose children are moved by each.
    moved: Vec<u32>,
    token: Vec<u16>,
    /// Row of each node's vector: a prefix of one leaf has the leaf's.
    row: Vec<u32>,
    /// First child of each, where children are inserted, too.
    first: Vec<u32>,
}

#[derive(Clone, Copy)]
enum Node {
    Former(usize),
    /// A new node before a former one, and the row of its vector.
    New(usize, u32),
}

impl Plan {
    fn new(tree: &Tree, new: &[New<'_>]) -> Self {
        let depth = tree.levels.len();
        let mut inserted: Vec<Inserted> = (0..=depth).map(|_| Inserted::default()).collect();
        let (mut path, mut rows) = (Vec::with_capacity(depth), Vec::with_capacity(new.len()));
        let mut before: &[u16] = &[];
        for each in new {
            let same = before.iter().zip(each.tokens).take_while(|(a, b)| a == b).count();
            path.truncate(same);
            for (number, level) in tree.levels.iter().enumerate().skip(same) {
                let token = each.tokens[number];
                let (nodes, moved) = match path.last() {
                    None => (0..level.len(), 0),
                    Some(Node::Former(node)) => (tree.levels[number - 1].children(*node), node + 1),
                    Some(Node::New(at, _)) => {
                        let first = tree.levels[number - 1].first[*at] as usize;
                        (first..first, *at)
                    }
                };
                let node = match level.token[nodes.clone()].binary_search(&token) {
                    Ok(place) => Node::Former(nodes.start + place),
                    Err(place) => Node::New(nodes.start + place, each.row),
                };
                path.push(node);
                if let Node::New(at, row) = node {
                    // The child that is inserted next.
                    let first = level.first[at] as usize + inserted[number + 1].at.len();
                    let here = &mut inserted[number];
                    here.at.push(at as u32);
                    here.moved.push(moved as u32);
                    here.token.push(token);
                    here.row.push(row);
                    here.first.push(first as u32);
                }
            }
            let (leaves, slots) = (&tree.levels[depth - 1], &mut inserted[depth]);
            let (leaf, row) = match path[depth - 1] {
                Node::Former(leaf) => (leaf + 1, leaves.row(leaf) as u32),
                Node::New(at, row) => (at, row),
            };
            slots.at.push(leaves.first[leaf]);
            slots.moved.push(leaf as u32);
            rows.push(row);
            before = each.tokens;
        }
        Self { inserted, rows }
    }
}

/// Former numbers, with new ones before those at some ascending places.
fn spliced<T: Number>(former: &[T], at: &[u32], new: &[T]) -> Array<T> {
    Array::filled(former.len() + at.len(), |out| {
        let mut done = 0;
        for (number, (&at, &value)) in at.iter().zip(new).enumerate() {
            let at = at as usize;
            out[done + number..at + number].copy_from_slice(&former[done..at]);
            out[at + number] = value;
            done = at;
        }
        out[done + at.len()..].copy_from_slice(&former[done..]);
    })
}

/// The first children of a level: those of former nodes move by the number of new ones before them.
fn spliced_and_moved(former: &[u32], here: &Inserted, moved: &[u32]) -> Array<u32> {
    Array::filled(former.len() + here.at.len(), |out| {
        let (mut done, mut by) = (0, 0);
        let new = here.first.iter().copied().map(Some).chain([None]);
        let ends = here.at.iter().map(|&at| at as usize).chain([former.len()]);
        for (number, (end, value)) in ends.zip(new).enumerate() {
            while done < end {
                while moved.get(by).is_some_and(|&node| node as usize <= done) {
                    by += 1;
                }
                let next = moved.get(by).map_or(end, |&node| end.min(node as usize));
                let kept = out[done + number..next + number].iter_mut();
                for (out, first) in kept.zip(&former[done..next]) {
                    *out = first + by as u32;
                }
                done = next;
            }
            if let Some(value) = value {
                out[end + number] = value;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Tokens = [u16; 3];

    /// The tree of Semantic IDs with their items, whose leaves have rows in their order, and the items of its slots.
    fn tree_of(leaves: &BTreeMap<Tokens, Vec<u32>>) -> (Tree, Vec<u32>) {
        let mut nodes: Vec<(Vec<u16>, Vec<u32>)> = vec![Default::default(); 3];
        let (mut before, mut items) = (None::<Tokens>, Vec::new());
        for (tokens, here) in leaves {
            let same = before.map_or(0, |before| {
                before.iter().zip(tokens).take_while(|(a, b)| a == b).count()
            });
            for level in same..3 {
                let below = if level == 2 {
                    items.len()
                } else {
                    nodes[level + 1].0.len()
                };
                nodes[level].0.push(tokens[level]);
                nodes[level].1.push(below as u32);
            }
            items.extend(here);
            before = Some(*tokens);
        }
        let ends = [nodes[1].0.len(), nodes[2].0.len(), items.len()];
        let levels = nodes.into_iter().zip(ends).map(|((token, mut first), end)| {
            first.push(end as u32);
            Level {
                token: token.into(),
                first: first.into(),
                ..Level::default()
            }
        });
        (Tree::new(levels.collect()), items)
    }

    proptest! {
        #[test]
        fn a_grown_tree_is_that_of_all_items(
            former in prop::collection::vec([0_u16..4, 0..4, 0..3], 1..30),
            mut new in prop::collection::vec([0_u16..4, 0..4, 0..3], 0..20),
        ) {
            let mut leaves = BTreeMap::<Tokens, Vec<u32>>::new();
            for (tokens, item) in former.iter().zip(0..) {
                leaves.entry(*tokens).or_default().push(item);
            }
            let (tree, items) = tree_of(&leaves);
            let known: Vec<Tokens> = leaves.keys().copied().collect();
            new.sort_unstable();
            let numbered = || new.iter().zip(former.len() as u32..);
            let added: Vec<New<'_>> = numbered().map(|(tokens, item)| New { tokens, item, row: 1000 + item }).collect();
            let grown = grow(&tree, &items, &added, 0.5);
            for (tokens, item) in numbered() {
                leaves.entry(*tokens).or_default().push(item);
            }
            let (whole, slots) = tree_of(&leaves);
            prop_assert_eq!(&grown.items[..], &slots[..]);
            for (number, (found, level)) in grown.tree.levels.iter().zip(&whole.levels).enumerate() {
                prop_assert_eq!(&found.token, &level.token);
                prop_assert_eq!(&found.first, &level.first);
                for node in 0..level.len() {
                    prop_assert_eq!(grown.tree.leaves_of(number, node), whole.leaves_of(number, node));
                    let prefix = &leaves.keys().nth(whole.leaves_of(number, node).start).unwrap()[..=number];
                    let is_known = known.iter().any(|each| each.starts_with(prefix));
                    prop_assert_eq!(found.bias.as_ref().unwrap()[node] > 0.0, !is_known);
                }
            }
            for (leaf, tokens) in leaves.keys().enumerate() {
                let first = || numbered().find(|each| each.0 == tokens).unwrap().1;
                let row = known.binary_search(tokens).unwrap_or_else(|_| 1000 + first() as usize);
                prop_assert_eq!(grown.tree.levels[2].row(leaf), row);
                for (_, &row_of_item) in numbered().zip(&grown.rows).filter(|((each, _), _)| *each == tokens) {
                    prop_assert_eq!(row_of_item as usize, row);
                }
            }
        }
    }
}
