//! Histories that grow, one event at a time.

use super::recommend::{Requests, with_arena};
use super::{Model, Ragged};
use crate::error::Result;

/// The history of a user and, for recurrent encoders, its encoding so far.
#[derive(Clone, Debug, Default)]
pub struct State {
    items: Vec<u32>,
    /// States of the layers; of use as long as no item has left the window of the encoder.
    encoded: Vec<f32>,
}

impl State {
    /// The items, oldest first.
    #[must_use]
    pub fn items(&self) -> &[u32] {
        &self.items
    }
}

impl Model {
    /// Begins a state with a history of items, which may be empty.
    ///
    /// # Errors
    /// [`crate::Error::UnknownItem`] for an item that does not exist.
    pub fn start(&self, history: &[u32]) -> Result<State> {
        let mut state = State {
            items: Vec::with_capacity(history.len() + 1),
            encoded: vec![0.0; self.encoder.state_size()],
        };
        self.append(&mut state, history)?;
        Ok(state)
    }

    /// Appends items to a state. Recurrent encoders take one step for each.
    ///
    /// # Errors
    /// [`crate::Error::UnknownItem`] for an item that does not exist.
    pub fn append(&self, state: &mut State, items: &[u32]) -> Result<()> {
        let catalogue = self.snapshot();
        catalogue.check(items)?;
        state.items.extend_from_slice(items);
        if !items.is_empty() && self.is_incremental(state) {
            let rows: Vec<u32> = items.iter().map(|&item| catalogue.row[item as usize]).collect();
            with_arena(|arena| {
                self.encoder
                    .advance(&catalogue.vectors, &rows, &mut state.encoded, &mut arena.encoder);
            });
        }
        Ok(())
    }

    /// As [`Model::recommend`] for the history of a state; `requests.histories` are not used.
    ///
    /// # Errors
    /// As [`Model::recommend`].
    pub fn recommend_next(
        &self,
        state: &State,
        requests: &Requests<'_>,
        items: &mut [i32],
        scores: &mut [f32],
    ) -> Result<()> {
        let requests = Requests {
            histories: Ragged {
                values: &state.items,
                offsets: &[0, state.items.len()],
            },
            ..*requests
        };
        if !self.is_incremental(state) || state.items.is_empty() {
            return self.recommend(&requests, 1, items, scores);
        }
        self.recommend_encoded(&requests, &state.encoded, items, scores)
    }

    /// True if the encoding of a state is that of its history.
    fn is_incremental(&self, state: &State) -> bool {
        !state.encoded.is_empty() && state.items.len() <= self.encoder.max_items
    }
}
