//! Small random models: their inference files, and their answers by the definitions, in f64.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(
    clippy::needless_for_each,
    clippy::op_ref,
    clippy::too_many_lines,
    clippy::useless_vec,
    reason = "definitions written out in the plainest way"
)]

mod encoding;
mod file;
mod ranking;

use std::collections::BTreeMap;

#[allow(unused_imports, reason = "each test uses a part")]
pub use file::Temporary;

pub const DIM: usize = 12;
pub const SIZES: [usize; 3] = [3, 5, 6];
const CONTENT: usize = 7;

/// Random numbers from a seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    pub fn normal(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut unit = || self.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0;
        (0..count).map(|_| (unit() + unit() + unit()) * scale).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoder {
    Gru,
    Attention,
}

/// A model over the tree of its items.
#[derive(Clone)]
pub struct World {
    pub encoder: Encoder,
    pub levels: bool,
    /// Semantic ID of each item.
    pub tokens: Vec<[u16; 3]>,
    pub content: Vec<Vec<f32>>,
    pub weights: BTreeMap<String, (Vec<f32>, usize)>,
    pub graph: Vec<Vec<(usize, f32)>>,
    /// Prefixes with a trained vector: those of the first so many items.
    pub trained: usize,
}

pub const MAX_ITEMS: usize = 6;
const RECENCY: f64 = 0.5;
const GRAPH_ITEMS: usize = 3;
const WEIGHT: f64 = 0.4;

impl World {
    pub fn new(seed: u64, encoder: Encoder, items: usize) -> Self {
        let mut random = Random::new(seed);
        let mut weights = BTreeMap::new();
        let mut put = |name: &str, rows: usize, dim: usize, scale: f32| {
            let values = random.normal(rows * dim.max(1), scale);
            weights.insert(name.to_owned(), (values, dim));
        };
        put("norm.weight", DIM, 0, 1.0);
        put("norm.bias", DIM, 0, 0.3);
        put("code", SIZES.iter().sum(), DIM, 0.5);
        put("content.project", DIM, CONTENT, 0.3);
        put("content.shift", CONTENT, 0, 0.5);
        put("content.scale", CONTENT, 0, 0.5);
        for layer in 0..2 {
            match encoder {
                Encoder::Gru => {
                    put(&format!("gru.{layer}.input"), 3 * DIM, DIM, 0.4);
                    put(&format!("gru.{layer}.state"), 3 * DIM, DIM, 0.4);
                    put(&format!("gru.{layer}.input_bias"), 3 * DIM, 0, 0.2);
                    put(&format!("gru.{layer}.state_bias"), 3 * DIM, 0, 0.2);
                }
                Encoder::Attention => {
                    put("position", MAX_ITEMS, DIM, 0.5);
                    for (part, inputs, outputs) in [
                        ("qkv", DIM, 3 * DIM),
                        ("out", DIM, DIM),
                        ("expand", DIM, 4 * DIM),
                        ("contract", 4 * DIM, DIM),
                    ] {
                        put(&format!("block.{layer}.{part}.weight"), outputs, inputs, 0.3);
                        put(&format!("block.{layer}.{part}.bias"), outputs, 0, 0.2);
                    }
                    for norm in ["attention_norm", "feed_norm"] {
                        put(&format!("block.{layer}.{norm}.weight"), DIM, 0, 1.0);
                        put(&format!("block.{layer}.{norm}.bias"), DIM, 0, 0.2);
                    }
                }
            }
        }
        put("prefixes", SIZES[0] * (1 + SIZES[1] * (1 + SIZES[2])), DIM, 0.4);
        let tokens = (0..items)
            .map(|_| [0, 1, 2].map(|level| random.below(SIZES[level]) as u16))
            .collect();
        let content = (0..items).map(|_| random.normal(CONTENT, 0.6)).collect();
        let graph = (0..items)
            .map(|_| {
                let mut edges: Vec<_> = (0..random.below(4))
                    .map(|_| (random.below(items), 0.1 + random.below(9) as f32))
                    .collect();
                edges.sort_by_key(|edge| edge.0);
                edges.dedup_by_key(|edge| edge.0);
                edges
            })
            .collect();
        Self {
            encoder,
            levels: false,
            tokens,
            content,
            weights,
            graph,
            trained: items,
        }
    }

    pub fn items(&self) -> usize {
        self.tokens.len()
    }

    /// Ids are not the numbers of the items.
    pub fn id(item: usize) -> i64 {
        1000 - 7 * item as i64
    }

    fn weight(&self, name: &str) -> Vec<f64> {
        self.weights[name]
            .0
            .iter()
            .map(|&value| f64::from(value))
            .collect()
    }

    /// The prefixes of a length, ordered.
    pub fn prefixes(&self, length: usize) -> Vec<Vec<u16>> {
        let mut prefixes: Vec<_> = self
            .tokens
            .iter()
            .map(|tokens| tokens[..length].to_vec())
            .collect();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }

    fn is_trained(&self, prefix: &[u16]) -> bool {
        self.tokens[..self.trained]
            .iter()
            .any(|tokens| tokens.starts_with(prefix))
    }

    fn prefix_row(prefix: &[u16]) -> usize {
        prefix
            .iter()
            .zip(SIZES)
            .fold(0, |row, (&token, size)| row * (size + 1) + usize::from(token) + 1)
            % (SIZES[0] * (1 + SIZES[1] * (1 + SIZES[2])))
    }

    /// The vector of a prefix: the sum of those of its tokens, its trained prefixes and the mean content below it.
    pub fn vector(&self, prefix: &[u16]) -> Vec<f32> {
        let (code, prefixes) = (&self.weights["code"].0, &self.weights["prefixes"].0);
        let below: Vec<_> = (0..self.items())
            .filter(|&item| self.tokens[item].starts_with(prefix))
            .collect();
        // A new item under a known Semantic ID does not change its vector.
        let first = below[0];
        let mut vector = vec![0.0_f64; DIM];
        let mut start = 0;
        for length in 1..=prefix.len() {
            let token = start + usize::from(prefix[length - 1]);
            start += SIZES[length - 1];
            let row = Self::prefix_row(&prefix[..length]);
            for (d, value) in vector.iter_mut().enumerate() {
                *value += f64::from(code[token * DIM + d]);
                if self.is_trained(&prefix[..length]) {
                    *value += f64::from(prefixes[row * DIM + d]);
                }
            }
        }
        let (shift, scale, project) = (
            self.weight("content.shift"),
            self.weight("content.scale"),
            self.weight("content.project"),
        );
        for (d, value) in vector.iter_mut().enumerate() {
            for c in 0..CONTENT {
                *value +=
                    project[d * CONTENT + c] * (f64::from(self.content[first][c]) - shift[c]) * scale[c];
            }
        }
        vector.iter().map(|&value| value as f32).collect()
    }
}

/// Training events of an item.
pub fn count(item: usize) -> i64 {
    (item * 37 % 11) as i64
}
