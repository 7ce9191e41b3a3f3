//! Gated recurrent units.

use super::catalogue::Vectors;
use super::encoder::{Scratch, room};
use super::file::Tensors;
use super::math::{self, Bias};
use super::products::products;
use crate::array::Array;
use crate::assign::Kernel;
use crate::error::Result;

/// Rows whose products are computed at once, so that weights are read once for several steps or users.
const ROWS: usize = 64;

/// Stacked layers.
#[derive(Debug)]
pub(super) struct Gru {
    kernel: Kernel,
    dim: usize,
    layers: Vec<Layer>,
}

/// Weights of a layer, rows of the reset, the update and the new gate.
#[derive(Debug)]
struct Layer {
    input: Array<f32>,
    state: Array<f32>,
    input_bias: Array<f32>,
    state_bias: Array<f32>,
}

impl Gru {
    pub(super) fn read(tensors: &Tensors, kernel: Kernel, layers: usize, dim: usize) -> Result<Self> {
        let layers = (0..layers)
            .map(|layer| {
                let weights =
                    |what: &str| tensors.take_finite(&format!("gru.{layer}.{what}"), &[3 * dim, dim]);
                let bias = |what: &str| tensors.take_finite(&format!("gru.{layer}.{what}"), &[3 * dim]);
                Ok(Layer {
                    input: weights("input")?,
                    state: weights("state")?,
                    input_bias: bias("input_bias")?,
                    state_bias: bias("state_bias")?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { kernel, dim, layers })
    }

    /// Number of values of a user's state.
    pub(super) fn state_size(&self) -> usize {
        self.layers.len() * self.dim
    }

    /// Advances the states of users by their histories, rows of vectors, the longest history first. The states of a layer
    /// follow each other: `states` is (layers, users, D).
    pub(super) fn advance(
        &self,
        vectors: &Vectors,
        histories: &[&[u32]],
        states: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (dim, users) = (self.dim, histories.len());
        let longest = histories.first().map_or(0, |history| history.len());
        let mut step = 0;
        while step < longest {
            scratch.widths.clear();
            let mut rows = 0;
            while step + scratch.widths.len() < longest {
                let at = step + scratch.widths.len();
                let width = histories.partition_point(|history| history.len() > at);
                if rows > 0 && rows + width > ROWS {
                    break;
                }
                rows += width;
                scratch.widths.push(width);
            }
            let x = room(&mut scratch.x, rows * dim);
            let mut targets = x.chunks_exact_mut(dim);
            for (ahead, &width) in scratch.widths.iter().enumerate() {
                for (history, target) in histories[..width].iter().zip(&mut targets) {
                    target.copy_from_slice(vectors.row(history[step + ahead] as usize));
                }
            }
            for (layer, states) in self.layers.iter().zip(states.chunks_exact_mut(users * dim)) {
                self.advance_layer(layer, rows, states, scratch);
            }
            step += scratch.widths.len();
        }
    }

    /// Advances a layer by the steps whose inputs are the rows of `scratch.x`, which become its outputs.
    fn advance_layer(&self, layer: &Layer, rows: usize, states: &mut [f32], scratch: &mut Scratch) {
        let (dim, kernel) = (self.dim, self.kernel);
        let x = &mut scratch.x[..rows * dim];
        let from_input = room(&mut scratch.wide, rows * 3 * dim);
        products(kernel, x, &layer.input, dim, from_input, 3 * dim);
        let bias = Bias {
            input: &layer.input_bias,
            state: &layer.state_bias,
        };
        let mut first = 0;
        for &width in &scratch.widths {
            let from_state = room(&mut scratch.other, width * 3 * dim);
            products(
                kernel,
                &states[..width * dim],
                &layer.state,
                dim,
                from_state,
                3 * dim,
            );
            for user in 0..width {
                let row = first + user;
                let state = &mut states[user * dim..][..dim];
                math::gates(
                    kernel,
                    &from_input[row * 3 * dim..][..3 * dim],
                    &from_state[user * 3 * dim..][..3 * dim],
                    bias,
                    state,
                );
                x[row * dim..][..dim].copy_from_slice(state);
            }
            first += width;
        }
    }
}
