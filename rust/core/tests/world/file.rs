//! Inference files of the models.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sidkit_core::infer::{self, Model, Tensor};

use super::*;

impl World {
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
