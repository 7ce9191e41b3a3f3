//! One history while its tokens are merged: actions, each a set of tokens, and slots between them.

use super::Merge;
use super::pair::ordered;

/// The weight of one pair that is certain to be adjacent. Weights are whole numbers, so that sums do not depend on the
/// order of their terms, and counts that go up and down again are exact.
const CERTAIN: i64 = 1 << 30;

/// An action of a history, and what lies between it and the next one.
#[derive(Clone, Debug, PartialEq)]
struct Action {
    /// Its tokens, never none, no two alike.
    tokens: Vec<u32>,
    /// The token merged out of this action and the next, if there is one.
    slot: Option<u32>,
}

/// A history.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct History(Vec<Action>);

impl History {
    /// A history of actions with `width` tokens each.
    pub(super) fn new(tokens: &[u32], width: usize) -> Self {
        let action = |tokens: &[u32]| {
            let mut tokens = tokens.to_vec();
            tokens.sort_unstable();
            tokens.dedup();
            Action { tokens, slot: None }
        };
        Self(tokens.chunks_exact(width).map(action).collect())
    }

    /// Appends every pair of tokens that could be adjacent and its weight: how likely it is that the two are adjacent
    /// once each action's tokens are put in random order. In an action of m tokens that is 2/m, and for actions
    /// of m and n tokens next to each other 1/(mn); a slot counts as an action of one token that parts its neighbours.
    pub(super) fn count(&self, pairs: &mut Vec<(Merge, i64)>) {
        for (place, action) in self.0.iter().enumerate() {
            let own = &action.tokens;
            for (first, &one) in own.iter().enumerate() {
                for &other in &own[first + 1..] {
                    pairs.push((ordered(one, other), 2 * CERTAIN / own.len() as i64));
                }
            }
            let Some(next) = self.0.get(place + 1) else { break };
            if let Some(slot) = action.slot {
                across(own, &[slot], pairs);
                across(&[slot], &next.tokens, pairs);
            } else {
                across(own, &next.tokens, pairs);
            }
        }
    }

    /// Merges a pair wherever it is, from the first action to the last.
    ///
    /// Within an action the new token takes the place of the two; of two actions it goes to the slot between them, of an
    /// action and a slot to the slot. An action that has no tokens left becomes what is in the slot before it, or else
    /// after it, or vanishes if both are empty.
    pub(super) fn merge(&mut self, pair: Merge, made: u32) {
        for place in 0..self.0.len() {
            let (head, tail) = self.0.split_at_mut(place + 1);
            let action = &mut head[place];
            if pair[0] != pair[1] && action.tokens.contains(&pair[0]) && action.tokens.contains(&pair[1]) {
                action.tokens.retain(|token| !pair.contains(token));
                action.tokens.push(made);
            }
            let Some(next) = tail.first_mut() else { break };
            if action.slot.is_some() {
                into_slot(&mut action.tokens, &mut action.slot, pair, made);
                into_slot(&mut next.tokens, &mut action.slot, pair, made);
            } else {
                let [a, b] = pair;
                for (one, other) in [(a, b), (b, a)] {
                    if action.tokens.contains(&one) && next.tokens.contains(&other) {
                        action.tokens.retain(|&token| token != one);
                        next.tokens.retain(|&token| token != other);
                        action.slot = Some(made);
                        break;
                    }
                }
            }
        }
        self.fill();
    }

    fn fill(&mut self) {
        let mut place = 0;
        while place < self.0.len() {
            if self.0[place].tokens.is_empty() {
                let before = place.checked_sub(1).and_then(|before| self.0[before].slot.take());
                let Some(token) = before.or_else(|| self.0[place].slot.take()) else {
                    self.0.remove(place);
                    continue;
                };
                self.0[place].tokens.push(token);
            }
            place += 1;
        }
    }
}

fn across(left: &[u32], right: &[u32], pairs: &mut Vec<(Merge, i64)>) {
    let weight = CERTAIN / (left.len() * right.len()) as i64;
    for &one in left {
        for &other in right {
            pairs.push((ordered(one, other), weight));
        }
    }
}

/// Merges the token of a slot with one of a neighbour, if they are the pair.
fn into_slot(tokens: &mut Vec<u32>, slot: &mut Option<u32>, pair: Merge, made: u32) {
    for (inside, wanted) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if *slot == Some(inside) && tokens.contains(&wanted) {
            tokens.retain(|&token| token != wanted);
            *slot = Some(made);
            return;
        }
    }
}
