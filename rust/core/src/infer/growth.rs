//! Vectors of new Semantic IDs, from the parts that a training has learned.
//!
//! The vector of a leaf is the sum of the vectors of its tokens, of its trained prefixes and of its projected content. The
//! prefixes that only a new item has are not among the trained ones.

use super::file::{Tensors, model};
use super::products::products;
use super::tree::NONE;
use crate::array::Array;
use crate::assign::Kernel;
use crate::error::{Error, Result};

/// Learned parts of vectors.
#[derive(Debug)]
pub(super) struct Growth {
    kernel: Kernel,
    dim: usize,
    /// Number of tokens of each level.
    sizes: Vec<usize>,
    /// Vectors of tokens, one level after the other.
    code: Array<f32>,
    /// Vectors of prefixes.
    prefix: Array<f32>,
    content: Option<Content>,
    /// Added to the scores of new Semantic IDs and of prefixes that only they have.
    pub(super) bias: f32,
}

/// Standardization and projection of content vectors.
#[derive(Debug)]
struct Content {
    shift: Array<f32>,
    scale: Array<f32>,
    project: Array<f32>,
}

impl Growth {
    /// The parts of a file; none if it has none.
    pub(super) fn read(tensors: &Tensors, kernel: Kernel, dim: usize, levels: usize) -> Result<Option<Self>> {
        if !tensors.has("code") {
            return Ok(None);
        }
        let sizes = tensors.config["sizes"].as_array();
        let sizes = sizes.and_then(|sizes| {
            sizes
                .iter()
                .map(serde_json::Value::as_u64)
                .collect::<Option<Vec<_>>>()
        });
        let Some(sizes) =
            sizes.filter(|sizes| sizes.len() == levels && sizes.iter().all(|&size| size <= 1 << 16))
        else {
            return Err(model(format!("`sizes`: expected {levels} numbers of tokens")));
        };
        let sizes: Vec<usize> = sizes.into_iter().map(|size| size as usize).collect();
        let bias = tensors.config["new_item_bias"].as_f64().unwrap_or(0.0) as f32;
        if !bias.is_finite() {
            return Err(model(format!(
                "`new_item_bias`: expected a finite number, got {bias}"
            )));
        }
        let content = tensors.has("content.project").then(|| {
            let (_, width) = tensors.rows("content.project")?;
            Ok(Content {
                shift: tensors.take_finite("content.shift", &[width])?,
                scale: tensors.take_finite("content.scale", &[width])?,
                project: tensors.take_finite("content.project", &[dim, width])?,
            })
        });
        Ok(Some(Self {
            kernel,
            dim,
            code: tensors.take_finite("code", &[sizes.iter().sum(), dim])?,
            prefix: tensors.take_finite("prefix", &[tensors.rows("prefix")?.0, dim])?,
            content: content.transpose()?,
            bias,
            sizes,
        }))
    }

    /// Number of vectors of prefixes.
    pub(super) fn prefixes(&self) -> usize {
        self.prefix.len() / self.dim
    }

    /// Number of dimensions of content vectors, 0 for none.
    pub(super) fn content_dim(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.shift.len())
    }

    /// Fails unless each row of tokens is one of the levels.
    pub(super) fn check_tokens(&self, tokens: &[u16]) -> Result<()> {
        for (row, tokens) in tokens.chunks_exact(self.sizes.len()).enumerate() {
            for (level, (&token, &size)) in tokens.iter().zip(&self.sizes).enumerate() {
                if usize::from(token) >= size {
                    let (token, size) = (i64::from(token), size as u32);
                    return Err(Error::TokenRange {
                        row,
                        level,
                        token,
                        size,
                    });
                }
            }
        }
        Ok(())
    }

    /// The vectors of new leaves with these content vectors; `prefixes` are the rows of their prefixes, [`NONE`] where there
    /// is no trained one.
    pub(super) fn vectors(&self, content: &[f32], tokens: &[u16], prefixes: &[u32]) -> Vec<f32> {
        let (dim, levels) = (self.dim, self.sizes.len());
        let mut vectors = vec![0.0; tokens.len() / levels * dim];
        if let Some(parts) = &self.content {
            let width = parts.shift.len();
            let mut standard = content.to_vec();
            for row in standard.chunks_exact_mut(width) {
                for ((value, shift), scale) in row.iter_mut().zip(parts.shift.iter()).zip(parts.scale.iter())
                {
                    *value = (*value - shift) * scale;
                }
            }
            products(self.kernel, &standard, &parts.project, width, &mut vectors, dim);
        }
        let rows = tokens.chunks_exact(levels).zip(prefixes.chunks_exact(levels));
        for ((tokens, prefixes), vector) in rows.zip(vectors.chunks_exact_mut(dim)) {
            let mut first = 0;
            for (&token, size) in tokens.iter().zip(&self.sizes) {
                add(vector, &self.code[(first + usize::from(token)) * dim..][..dim]);
                first += size;
            }
            for &row in prefixes.iter().filter(|&&row| row != NONE) {
                add(vector, &self.prefix[row as usize * dim..][..dim]);
            }
        }
        vectors
    }
}

fn add(vector: &mut [f32], other: &[f32]) {
    for (value, other) in vector.iter_mut().zip(other) {
        *value += other;
    }
}
