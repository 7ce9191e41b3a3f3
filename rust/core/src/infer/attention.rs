//! Causal transformer blocks, pre-normalized, with learned positions.

use super::catalogue::Vectors;
use super::encoder::{Norm, Scratch, room};
use super::file::Tensors;
use super::math::{self, Heads};
use super::products::products;
use crate::array::Array;
use crate::assign::Kernel;
use crate::error::Result;

/// Positions that are encoded at once, so that weights are read once for several users.
const ROWS: usize = 128;

/// Blocks over the positions of a history.
#[derive(Debug)]
pub(super) struct Attention {
    kernel: Kernel,
    dim: usize,
    heads: usize,
    /// Factor of the vectors of items.
    scale: f32,
    position: Array<f32>,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    attention_norm: Norm,
    qkv: Linear,
    out: Linear,
    feed_norm: Norm,
    expand: Linear,
    contract: Linear,
}

#[derive(Debug)]
struct Linear {
    weight: Array<f32>,
    bias: Array<f32>,
}

impl Linear {
    fn read(tensors: &Tensors, name: &str, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            weight: tensors.take_finite(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: tensors.take_finite(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// Writes the results of rows, without the bias, to `target`.
    fn products(&self, kernel: Kernel, rows: &[f32], dim: usize, target: &mut [f32]) {
        products(kernel, rows, &self.weight, dim, target, self.bias.len());
    }
}

impl Attention {
    pub(super) fn read(tensors: &Tensors, kernel: Kernel, shape: &Shape) -> Result<Self> {
        let dim = shape.dim;
        let blocks = (0..shape.layers)
            .map(|block| {
                let name = |what: &str| format!("block.{block}.{what}");
                Ok(Block {
                    attention_norm: Norm::read(tensors, &name("attention_norm"), dim)?,
                    qkv: Linear::read(tensors, &name("qkv"), dim, 3 * dim)?,
                    out: Linear::read(tensors, &name("out"), dim, dim)?,
                    feed_norm: Norm::read(tensors, &name("feed_norm"), dim)?,
                    expand: Linear::read(tensors, &name("expand"), dim, 4 * dim)?,
                    contract: Linear::read(tensors, &name("contract"), 4 * dim, dim)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            kernel,
            dim,
            heads: shape.heads,
            scale: shape.scale,
            position: tensors.take_finite("position", &[shape.max_items, dim])?,
            blocks,
        })
    }

    /// Writes the vector at the end of each history, rows of vectors, to `out` (users, D).
    pub(super) fn encode(
        &self,
        vectors: &Vectors,
        histories: &[&[u32]],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let mut done = 0;
        while done < histories.len() {
            let mut rows = 0;
            let users = histories[done..]
                .iter()
                .take_while(|history| {
                    rows += history.len();
                    rows <= ROWS || rows == history.len()
                })
                .count();
            let out = &mut out[done * self.dim..][..users * self.dim];
            self.encode_together(vectors, &histories[done..done + users], out, scratch);
            done += users;
        }
    }

    fn encode_together(
        &self,
        vectors: &Vectors,
        histories: &[&[u32]],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let dim = self.dim;
        let mut rows: usize = histories.iter().map(|history| history.len()).sum();
        let mut targets = room(&mut scratch.x, rows * dim).chunks_exact_mut(dim);
        for history in histories {
            let places = history.iter().zip(self.position.chunks_exact(dim));
            for ((&row, position), target) in places.zip(&mut targets) {
                let vector = vectors.row(row as usize);
                for ((target, &value), &position) in target.iter_mut().zip(vector).zip(position) {
                    *target = value * self.scale + position;
                }
            }
        }
        for (number, block) in self.blocks.iter().enumerate() {
            // Of the last block, only the last positions are of use.
            let last_only = number + 1 == self.blocks.len();
            self.attend(block, histories, last_only, rows, scratch);
            if last_only {
                rows = histories.len();
            }
            self.feed(block, rows, scratch);
        }
        if self.blocks.is_empty() {
            keep_last(histories, dim, &mut scratch.x);
        }
        out.copy_from_slice(&scratch.x[..out.len()]);
    }

    /// Adds what positions attend to, to the rows of `scratch.x`; with `last_only`, keeps the last position of each user.
    fn attend(
        &self,
        block: &Block,
        histories: &[&[u32]],
        last_only: bool,
        rows: usize,
        scratch: &mut Scratch,
    ) {
        let (dim, kernel) = (self.dim, self.kernel);
        let normed = room(&mut scratch.other, rows * dim);
        block
            .attention_norm
            .apply(kernel, &scratch.x[..rows * dim], normed);
        let qkv = room(&mut scratch.wide, rows * 3 * dim);
        block.qkv.products(kernel, normed, dim, qkv);
        for row in qkv.chunks_exact_mut(3 * dim) {
            add(row, &block.qkv.bias);
        }
        let weights = room(&mut scratch.weights, self.position.len() / dim);
        let (mut first, mut target) = (0, 0);
        for history in histories {
            let own = &qkv[first * 3 * dim..][..history.len() * 3 * dim];
            let from = if last_only { history.len() - 1 } else { 0 };
            for position in from..history.len() {
                let heads = Heads {
                    qkv: own,
                    position,
                    count: self.heads,
                };
                math::attend(kernel, heads, weights, &mut normed[target * dim..][..dim]);
                target += 1;
            }
            first += history.len();
        }
        if last_only {
            keep_last(histories, dim, &mut scratch.x);
        }
        let mixed = room(&mut scratch.wide, target * dim);
        block.out.products(kernel, &normed[..target * dim], dim, mixed);
        for (x, row) in scratch.x.chunks_exact_mut(dim).zip(mixed.chunks_exact(dim)) {
            add(x, row);
            add(x, &block.out.bias);
        }
    }

    /// Adds the output of the feed-forward layer to the rows of `scratch.x`.
    fn feed(&self, block: &Block, rows: usize, scratch: &mut Scratch) {
        let (dim, kernel) = (self.dim, self.kernel);
        let x = &mut scratch.x[..rows * dim];
        let normed = room(&mut scratch.other, rows * dim);
        block.feed_norm.apply(kernel, x, normed);
        let wide = room(&mut scratch.wide, rows * 4 * dim);
        block.expand.products(kernel, normed, dim, wide);
        for row in wide.chunks_exact_mut(4 * dim) {
            math::gelu(kernel, row, &block.expand.bias);
        }
        block.contract.products(kernel, wide, 4 * dim, normed);
        for (x, row) in x.chunks_exact_mut(dim).zip(normed.chunks_exact(dim)) {
            add(x, row);
            add(x, &block.contract.bias);
        }
    }
}

/// Sizes of the blocks.
pub(super) struct Shape {
    pub(super) dim: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) scale: f32,
    pub(super) max_items: usize,
}

/// Moves the last position of each user to the front.
fn keep_last(histories: &[&[u32]], dim: usize, x: &mut [f32]) {
    let mut end = 0;
    for (user, history) in histories.iter().enumerate() {
        end += history.len();
        x.copy_within((end - 1) * dim..end * dim, user * dim);
    }
}

fn add(row: &mut [f32], other: &[f32]) {
    for (value, &other) in row.iter_mut().zip(other) {
        *value += other;
    }
}
