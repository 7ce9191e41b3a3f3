//! Small random models: their inference files, and their answers by the definitions, in f64.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(
    clippy::needless_for_each,
    clippy::op_ref,
    clippy::too_many_lines,
    clippy::useless_vec,
    reason = "definitions written out in the plainest way"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sidkit_core::infer::{self, Model, Tensor};

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

    /// The configuration and the arrays of the inference file.
    pub fn arrays(&self) -> (String, Vec<(String, Data)>) {
        let mut arrays: Vec<(String, Data)> = Vec::new();
        for (name, (values, dim)) in self.weights.iter().filter(|(name, _)| *name != "prefixes") {
            arrays.push((name.clone(), Data::F32(values.clone(), *dim)));
        }
        let (mut vectors, mut trained) = (Vec::new(), Vec::new());
        let leaves = self.prefixes(3);
        leaves.iter().for_each(|leaf| vectors.extend(self.vector(leaf)));
        for level in 0..3 {
            let nodes = self.prefixes(level + 1);
            let below = self.prefixes((level + 2).min(3));
            let mut first: Vec<u32> = if level < 2 {
                let starts =
                    |node: &Vec<u16>| below.iter().position(|child| child.starts_with(node)).unwrap();
                nodes.iter().map(|node| starts(node) as u32).collect()
            } else {
                let before = |node: &Vec<u16>| {
                    self.tokens
                        .iter()
                        .filter(|tokens| &tokens[..] < &node[..])
                        .count()
                };
                nodes.iter().map(|node| before(node) as u32).collect()
            };
            first.push(if level < 2 { below.len() } else { self.items() } as u32);
            arrays.push((format!("tree.{level}.first"), Data::U32(first)));
            let token = nodes.iter().map(|node| node[level]).collect();
            arrays.push((format!("tree.{level}.token"), Data::U16(token)));
            if level < 2 {
                let mut rows = Vec::new();
                for node in &nodes {
                    rows.push(if self.is_trained(node) {
                        (trained.len() / DIM) as u32
                    } else {
                        u32::MAX
                    });
                    if self.is_trained(node) {
                        trained.extend_from_slice(
                            &self.weights["prefixes"].0[Self::prefix_row(node) * DIM..][..DIM],
                        );
                    }
                }
                arrays.push((format!("tree.{level}.prefix"), Data::U32(rows)));
                if self.levels {
                    let first = vectors.len() / DIM;
                    nodes.iter().for_each(|node| vectors.extend(self.vector(node)));
                    arrays.push((
                        format!("tree.{level}.row"),
                        Data::U32((first as u32..).take(nodes.len()).collect()),
                    ));
                }
            }
        }
        arrays.push(("prefix".into(), Data::F32(trained, DIM)));
        arrays.push(("vectors".into(), Data::F32(vectors, DIM)));
        let mut slots: Vec<u32> = (0..self.items() as u32).collect();
        slots.sort_by_key(|&item| (self.tokens[item as usize], item));
        arrays.push(("slot.item".into(), Data::U32(slots)));
        let row = |tokens: &[u16; 3]| leaves.iter().position(|leaf| leaf[..] == tokens[..]).unwrap() as u32;
        arrays.push((
            "item.row".into(),
            Data::U32(self.tokens.iter().map(row).collect()),
        ));
        arrays.push((
            "item.count".into(),
            Data::I64((0..self.items()).map(count).collect()),
        ));
        arrays.push((
            "item.id".into(),
            Data::I64((0..self.items()).map(Self::id).collect()),
        ));
        arrays.push((
            "item.order".into(),
            Data::U32((0..self.items() as u32).rev().collect()),
        ));
        if !self.levels {
            let edges = || self.graph.iter().flatten();
            let mut offsets = vec![0_u64];
            self.graph
                .iter()
                .for_each(|row| offsets.push(offsets[offsets.len() - 1] + row.len() as u64));
            arrays.push(("graph.offsets".into(), Data::U64(offsets)));
            arrays.push((
                "graph.columns".into(),
                Data::U32(edges().map(|edge| edge.0 as u32).collect()),
            ));
            arrays.push((
                "graph.values".into(),
                Data::F32(edges().map(|edge| edge.1).collect(), 0),
            ));
        }
        let graph = if self.levels {
            "null".to_owned()
        } else {
            format!(r#"{{"weight": {WEIGHT}, "recency": {RECENCY}, "max_items": {GRAPH_ITEMS}}}"#)
        };
        let config = format!(
            r#"{{"method": "rqtransformer", "normalizes": "{}", "d_model": {DIM}, "encoder": "{}", "layers": 2, "heads": 3,
            "scale": 1.5, "sizes": [3, 5, 6], "max_items": {MAX_ITEMS}, "graph": {graph}}}"#,
            if self.levels { "levels" } else { "leaves" },
            if self.encoder == Encoder::Gru {
                "gru"
            } else {
                "attention"
            },
        );
        (config, arrays)
    }

    pub fn open(&self) -> Model {
        let file = self.write();
        Model::open(&file.0, false).unwrap()
    }

    pub fn write(&self) -> Temporary {
        let file = Temporary::new();
        let (config, arrays) = self.arrays();
        let tensors: Vec<_> = arrays
            .iter()
            .map(|(name, data)| (name.as_str(), data.tensor()))
            .collect();
        infer::write(&file.0, &config, &tensors).unwrap();
        file
    }

    /// The vector of a history.
    pub fn encode(&self, history: &[usize]) -> Vec<f64> {
        let recent = &history[history.len().saturating_sub(MAX_ITEMS)..];
        let mut x: Vec<Vec<f64>> = recent
            .iter()
            .map(|&item| {
                self.vector(&self.tokens[item])
                    .iter()
                    .map(|&value| f64::from(value))
                    .collect()
            })
            .collect();
        match self.encoder {
            Encoder::Gru => (0..2).for_each(|layer| self.recur(layer, &mut x)),
            Encoder::Attention => {
                let position = self.weight("position");
                for (t, row) in x.iter_mut().enumerate() {
                    row.iter_mut()
                        .enumerate()
                        .for_each(|(d, value)| *value = *value * 1.5 + position[t * DIM + d]);
                }
                (0..2).for_each(|layer| self.attend(layer, &mut x));
            }
        }
        self.norm("norm", &x[x.len() - 1])
    }

    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weight = self.weight(name);
        weight
            .chunks(x.len())
            .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
            .collect()
    }

    fn affine(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let products = self.linear(&format!("{name}.weight"), x);
        products
            .iter()
            .zip(self.weight(&format!("{name}.bias")))
            .map(|(a, b)| a + b)
            .collect()
    }

    fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / DIM as f64;
        let variance = x.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / DIM as f64;
        let (weight, bias) = (
            self.weight(&format!("{name}.weight")),
            self.weight(&format!("{name}.bias")),
        );
        (0..DIM)
            .map(|d| (x[d] - mean) / (variance + 1e-5).sqrt() * weight[d] + bias[d])
            .collect()
    }

    fn recur(&self, layer: usize, x: &mut [Vec<f64>]) {
        let name = |what: &str| format!("gru.{layer}.{what}");
        let (input_bias, state_bias) = (self.weight(&name("input_bias")), self.weight(&name("state_bias")));
        let mut h = vec![0.0; DIM];
        for row in x {
            let (a, b) = (self.linear(&name("input"), row), self.linear(&name("state"), &h));
            let sigmoid = |value: f64| 1.0 / (1.0 + (-value).exp());
            h = (0..DIM)
                .map(|d| {
                    let part = |gate: usize| {
                        (
                            a[gate * DIM + d] + input_bias[gate * DIM + d],
                            b[gate * DIM + d] + state_bias[gate * DIM + d],
                        )
                    };
                    let (r, z) = (sigmoid(part(0).0 + part(0).1), sigmoid(part(1).0 + part(1).1));
                    let n = (part(2).0 + r * part(2).1).tanh();
                    (1.0 - z) * n + z * h[d]
                })
                .collect();
            row.clone_from(&h);
        }
    }

    fn attend(&self, layer: usize, x: &mut [Vec<f64>]) {
        let name = |what: &str| format!("block.{layer}.{what}");
        let qkv: Vec<Vec<f64>> = x
            .iter()
            .map(|row| self.affine(&name("qkv"), &self.norm(&name("attention_norm"), row)))
            .collect();
        for (t, row) in x.iter_mut().enumerate() {
            let mut mixed = vec![0.0; DIM];
            for head in 0..3 {
                let place = |which: usize| which * DIM + head * 4..which * DIM + head * 4 + 4;
                let logits: Vec<f64> = (0..=t)
                    .map(|s| {
                        qkv[t][place(0)]
                            .iter()
                            .zip(&qkv[s][place(1)])
                            .map(|(q, k)| q * k)
                            .sum::<f64>()
                            / 2.0
                    })
                    .collect();
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                for s in 0..=t {
                    for (d, value) in qkv[s][place(2)].iter().enumerate() {
                        mixed[head * 4 + d] += logits[s].exp() / total * value;
                    }
                }
            }
            let out = self.affine(&name("out"), &mixed);
            row.iter_mut().zip(out).for_each(|(value, out)| *value += out);
            let wide = self.affine(&name("expand"), &self.norm(&name("feed_norm"), row));
            let wide: Vec<f64> = wide
                .iter()
                .map(|&value| 0.5 * value * (1.0 + erf(value / 2.0_f64.sqrt())))
                .collect();
            let out = self.affine(&name("contract"), &wide);
            row.iter_mut().zip(out).for_each(|(value, out)| *value += out);
        }
    }

    /// The scores of prefixes of a length after a history.
    pub fn scores(&self, history: &[usize], length: usize) -> BTreeMap<Vec<u16>, f64> {
        let hidden = self.encode(history);
        let dot = |vector: Vec<f32>| hidden.iter().zip(vector).map(|(a, b)| a * f64::from(b)).sum();
        self.prefixes(length)
            .into_iter()
            .map(|prefix| (prefix.clone(), dot(self.vector(&prefix))))
            .collect()
    }

    /// The log-probability of each item.
    pub fn log_probs(&self, history: &[usize]) -> Vec<f64> {
        let scores = self.scores(history, 3);
        let total = scores.values().map(|score| score.exp()).sum::<f64>().ln();
        self.tokens
            .iter()
            .map(|tokens| scores[&tokens[..]] - total)
            .collect()
    }

    /// These mixed with the graph.
    pub fn fused(&self, history: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.items()];
        for (age, &item) in history.iter().rev().take(GRAPH_ITEMS).enumerate() {
            for &(to, value) in &self.graph[item] {
                sums[to] += RECENCY.powi(age as i32) * f64::from(value);
            }
        }
        let total = sums.iter().sum::<f64>().max(1e-12);
        let shares = sums.iter().map(|sum| (sum / total + 1e-3).ln());
        self.log_probs(history)
            .iter()
            .zip(shares)
            .map(|(p, g)| (1.0 - WEIGHT) * p + WEIGHT * g)
            .collect()
    }

    /// Beam search: the log-probabilities of the items that it finds.
    pub fn beam(
        &self,
        history: &[usize],
        beam: usize,
        permitted: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f64)> {
        let log_probs = self.log_probs(history);
        let leaf = |tokens: &[u16]| {
            (0..self.items())
                .find(|&item| self.tokens[item][..] == *tokens)
                .map(|item| log_probs[item])
        };
        let mut kept: Vec<Vec<u16>> = vec![vec![]];
        for length in 1..=3 {
            let mut found: Vec<(f64, Vec<u16>)> = self
                .prefixes(length)
                .into_iter()
                .filter(|prefix| kept.contains(&prefix[..length - 1].to_vec()))
                .filter(|prefix| {
                    (0..self.items()).any(|item| self.tokens[item].starts_with(prefix) && permitted(item))
                })
                .map(|prefix| {
                    let below = self
                        .prefixes(3)
                        .into_iter()
                        .filter(|leaf| leaf.starts_with(&prefix));
                    (
                        below.map(|each| leaf(&each).unwrap().exp()).sum::<f64>().ln(),
                        prefix,
                    )
                })
                .collect();
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(beam);
            kept = found.into_iter().map(|each| each.1).collect();
        }
        let items = kept
            .iter()
            .flat_map(|leaf| (0..self.items()).filter(move |&item| self.tokens[item][..] == leaf[..]));
        items
            .filter(|&item| permitted(item))
            .map(|item| (item, log_probs[item]))
            .collect()
    }

    /// Beam search with one softmax over the children of each prefix.
    pub fn level_beam(
        &self,
        history: &[usize],
        beam: usize,
        permitted: &dyn Fn(usize) -> bool,
    ) -> Vec<(usize, f64)> {
        let mut kept: Vec<(f64, Vec<u16>)> = vec![(0.0, vec![])];
        for length in 1..=3 {
            let scores = self.scores(history, length);
            let mut found = vec![];
            for (reached, parent) in kept {
                let children = || {
                    scores
                        .iter()
                        .filter(|(prefix, _)| prefix[..length - 1] == parent[..])
                };
                let total = children().map(|(_, score)| score.exp()).sum::<f64>().ln();
                let live = |prefix: &[u16]| {
                    (0..self.items()).any(|item| self.tokens[item].starts_with(prefix) && permitted(item))
                };
                let live = children().filter(|(prefix, _)| live(prefix));
                found.extend(live.map(|(prefix, score)| (reached + score - total, prefix.clone())));
            }
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            found.truncate(beam);
            kept = found;
        }
        let of = |leaf: &[u16]| {
            (0..self.items())
                .filter(|&item| self.tokens[item][..] == *leaf)
                .collect::<Vec<_>>()
        };
        let items = kept
            .iter()
            .flat_map(|(score, leaf)| of(leaf).into_iter().map(move |item| (item, *score)));
        items.filter(|&(item, _)| permitted(item)).collect()
    }
}

/// Training events of an item.
pub fn count(item: usize) -> i64 {
    (item * 37 % 11) as i64
}

/// The error function by its series.
fn erf(x: f64) -> f64 {
    let (mut sum, mut term) = (x, x);
    for n in 1..200 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    if x.abs() > 5.0 {
        x.signum()
    } else {
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }
}

/// An array of a file.
#[derive(Clone)]
pub enum Data {
    F32(Vec<f32>, usize),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    I64(Vec<i64>),
}

impl Data {
    pub fn tensor(&self) -> Tensor<'_> {
        match self {
            Self::F32(values, 0) => Tensor::flat(values),
            Self::F32(values, dim) => Tensor::rows(values, *dim),
            Self::U16(values) => Tensor::flat(values),
            Self::U32(values) => Tensor::flat(values),
            Self::U64(values) => Tensor::flat(values),
            Self::I64(values) => Tensor::flat(values),
        }
    }
}

/// A file that is removed at the end.
pub struct Temporary(pub PathBuf);

impl Temporary {
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!(
            "sidkit-infer-{}-{number}.safetensors",
            std::process::id()
        )))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
