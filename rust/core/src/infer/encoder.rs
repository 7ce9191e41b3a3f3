//! Encoders of histories: recurrent or attentive, and the normalization of their output.

use serde_json::Value;

use super::attention::{Attention, Shape};
use super::catalogue::Vectors;
use super::file::{Tensors, model};
use super::gru::Gru;
use super::math;
use crate::array::Array;
use crate::assign::Kernel;
use crate::error::Result;

/// Most layers, heads, dimensions and items of a history that a file may ask for.
const MOST: u64 = 1 << 16;

/// Encoder of histories.
#[derive(Debug)]
pub(super) struct Encoder {
    kernel: Kernel,
    layers: Layers,
    norm: Norm,
    /// Most recent items of a history that are encoded.
    pub(super) max_items: usize,
}

#[derive(Debug)]
enum Layers {
    Gru(Gru),
    Attention(Attention),
}

/// Scale and shift of a layer norm.
#[derive(Debug)]
pub(super) struct Norm {
    weight: Array<f32>,
    bias: Array<f32>,
}

/// Buffers of a thread, which grow to what the largest request needs.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Inputs of a layer.
    pub(super) x: Vec<f32>,
    pub(super) wide: Vec<f32>,
    pub(super) other: Vec<f32>,
    pub(super) weights: Vec<f32>,
    /// Users of each step.
    pub(super) widths: Vec<usize>,
    states: Vec<f32>,
}

/// The first `length` values of a buffer, which is made larger where it is too short.
pub(super) fn room(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        buffer.resize(length, 0.0);
    }
    &mut buffer[..length]
}

/// A number of a configuration, at least `least`.
pub(super) fn number(config: &Value, name: &str, least: u64) -> Result<usize> {
    match config[name].as_u64() {
        Some(value) if (least..=MOST).contains(&value) => Ok(value as usize),
        _ => Err(model(format!(
            "`{name}`: expected a number from {least} to {MOST}, got {:.80}",
            config[name].to_string()
        ))),
    }
}

impl Norm {
    pub(super) fn read(tensors: &Tensors, name: &str, dim: usize) -> Result<Self> {
        Ok(Self {
            weight: tensors.take_finite(&format!("{name}.weight"), &[dim])?,
            bias: tensors.take_finite(&format!("{name}.bias"), &[dim])?,
        })
    }

    /// Normalizes rows.
    pub(super) fn apply(&self, kernel: Kernel, rows: &[f32], out: &mut [f32]) {
        let dim = self.weight.len();
        for (row, out) in rows.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
            math::layer_norm(kernel, row, &self.weight, &self.bias, out);
        }
    }
}

impl Encoder {
    pub(super) fn read(tensors: &Tensors, kernel: Kernel, dim: usize) -> Result<Self> {
        let config = &tensors.config;
        let max_items = number(config, "max_items", 1)?;
        let (kind, layers) = (config["encoder"].as_str(), number(config, "layers", 0)?);
        let layers = match kind {
            Some("gru") if layers > 0 => Layers::Gru(Gru::read(tensors, kernel, layers, dim)?),
            Some("attention") => {
                let heads = number(config, "heads", 1)?;
                let scale = config["scale"].as_f64().unwrap_or(1.0) as f32;
                if !dim.is_multiple_of(heads) || !scale.is_finite() {
                    return Err(model(format!(
                        "expected heads that divide {dim} and a finite scale, got {heads} and {scale}"
                    )));
                }
                let shape = Shape {
                    dim,
                    layers,
                    heads,
                    scale,
                    max_items,
                };
                Layers::Attention(Attention::read(tensors, kernel, &shape)?)
            }
            _ => {
                return Err(model(format!(
                    "expected layers of the encoder `gru` or `attention`, got {layers} of {:.80}",
                    config["encoder"].to_string()
                )));
            }
        };
        Ok(Self {
            kernel,
            layers,
            norm: Norm::read(tensors, "norm", dim)?,
            max_items,
        })
    }

    /// Writes the vector at the end of each history to `out` (users, D). Histories are rows of vectors, none of them empty,
    /// the longest first.
    pub(super) fn encode(
        &self,
        vectors: &Vectors,
        histories: &[&[u32]],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        match &self.layers {
            Layers::Gru(gru) => {
                let mut states = std::mem::take(&mut scratch.states);
                let size = histories.len() * gru.state_size();
                let used = room(&mut states, size);
                used.fill(0.0);
                gru.advance(vectors, histories, used, scratch);
                self.norm.apply(self.kernel, &used[size - out.len()..], out);
                scratch.states = states;
            }
            Layers::Attention(attention) => {
                let mut ends = std::mem::take(&mut scratch.states);
                let used = room(&mut ends, out.len());
                attention.encode(vectors, histories, used, scratch);
                self.norm.apply(self.kernel, used, out);
                scratch.states = ends;
            }
        }
    }

    /// Number of values of the state of a user, 0 for encoders without one.
    pub(super) fn state_size(&self) -> usize {
        match &self.layers {
            Layers::Gru(gru) => gru.state_size(),
            Layers::Attention(_) => 0,
        }
    }

    /// Advances the state of one user by some items, rows of vectors.
    pub(super) fn advance(&self, vectors: &Vectors, rows: &[u32], state: &mut [f32], scratch: &mut Scratch) {
        if let Layers::Gru(gru) = &self.layers {
            gru.advance(vectors, &[rows], state, scratch);
        }
    }

    /// Writes the vector of a state to `out` (D).
    pub(super) fn read_state(&self, state: &[f32], out: &mut [f32]) {
        self.norm
            .apply(self.kernel, &state[state.len() - out.len()..], out);
    }
}
