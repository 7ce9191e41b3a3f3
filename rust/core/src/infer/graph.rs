//! The transition graph that is mixed with a model's probabilities.

use super::catalogue::Catalogue;
use super::encoder::number;
use super::file::{Tensors, model};
use crate::array::Array;
use crate::error::Result;

/// Added to the shares of the graph, which are zero for most items.
const FLOOR: f32 = 1e-3;

/// Scores of items for an item of the history, in rows.
#[derive(Debug)]
pub(super) struct Graph {
    /// Weight of the graph, from 0 to 1.
    weight: f32,
    /// Factor by which each older item counts less.
    recency: f64,
    /// Most recent items that are used.
    max_items: usize,
    offsets: Array<u64>,
    columns: Array<u32>,
    values: Array<f32>,
}

/// Buffers of a thread.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Zeros between two requests.
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Graph {
    /// The graph of a file; none if it has none.
    pub(super) fn read(tensors: &Tensors, items: usize) -> Result<Option<Self>> {
        let config = &tensors.config["graph"];
        if config.is_null() {
            return Ok(None);
        }
        let share = |name: &str| match config[name].as_f64() {
            Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
            _ => Err(model(format!(
                "`graph.{name}`: expected a number from 0 to 1, got {:.80}",
                config[name].to_string()
            ))),
        };
        let edges = tensors.length("graph.columns")?;
        let graph = Self {
            weight: share("weight")? as f32,
            recency: share("recency")?,
            max_items: number(config, "max_items", 1)?,
            offsets: tensors.take("graph.offsets", &[items + 1])?,
            columns: tensors.take("graph.columns", &[edges])?,
            values: tensors.take_finite("graph.values", &[edges])?,
        };
        let ascending = graph.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let whole = graph.offsets.first() == Some(&0) && graph.offsets.last() == Some(&(edges as u64));
        if !(ascending && whole) || graph.columns.iter().any(|&column| column as usize >= items) {
            return Err(model(format!(
                "`graph`: expected offsets that ascend from 0 to {edges} and columns below {items}"
            )));
        }
        Ok(Some(graph))
    }

    /// Mixes log-probabilities of slots, of which `offset` is still to be added, with the graph after a history of items:
    /// `(1 - w) log p + w log(share + floor)`.
    pub(super) fn mix(
        &self,
        catalogue: &Catalogue,
        history: &[u32],
        scores: &mut [f32],
        offset: f32,
        buffers: &mut Sums,
    ) {
        let Sums { sums, touched } = buffers;
        let rows = self.offsets.len() - 1;
        if sums.len() < rows {
            sums.resize(rows, 0.0);
        }
        touched.clear();
        let recent = history.iter().rev().take(self.max_items).enumerate();
        for (age, &item) in recent.filter(|&(_, &item)| (item as usize) < rows) {
            let factor = self.recency.powi(age as i32) as f32;
            let place = self.offsets[item as usize] as usize..self.offsets[item as usize + 1] as usize;
            for (&column, &value) in self.columns[place.clone()].iter().zip(&self.values[place]) {
                let sum = &mut sums[column as usize];
                if *sum == 0.0 && factor * value != 0.0 {
                    touched.push(column);
                }
                *sum += factor * value;
            }
        }
        let total: f32 = touched.iter().map(|&item| sums[item as usize]).sum();
        let inverse = 1.0 / total.max(1e-12);
        let rest = 1.0 - self.weight;
        let floor = self.weight * FLOOR.ln();
        for score in scores.iter_mut() {
            *score = rest * (*score + offset) + floor;
        }
        for &item in touched.iter() {
            let slot = catalogue.slot[item as usize] as usize;
            let share = std::mem::take(&mut sums[item as usize]) * inverse;
            scores[slot] += self.weight * (share / FLOOR).ln_1p();
        }
    }
}
