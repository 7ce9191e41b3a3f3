//! Ids of items: integers or strings, in both directions.

use std::collections::HashMap;
use std::sync::Arc;

use super::file::{Tensors, model};
use crate::array::Array;
use crate::error::Result;

/// An item id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ItemId {
    /// An integer.
    Int(i64),
    /// A string.
    Text(String),
}

/// The ids of a file, sorted by a permutation, and those that came later.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    base: Arc<Base>,
    /// Layers, the largest first, in the order of their items.
    added: Vec<Arc<Added>>,
}

#[derive(Debug)]
enum Base {
    Int {
        ids: Array<i64>,
        order: Array<u32>,
    },
    Text {
        bytes: Array<u8>,
        offsets: Array<u64>,
        order: Array<u32>,
    },
}

/// Ids that came later, and their places among these.
#[derive(Debug)]
struct Added {
    /// Row of the first.
    first: usize,
    ids: Vec<ItemId>,
    places: HashMap<ItemId, u32>,
}

impl Ids {
    /// The ids of a file of `items` items.
    pub(super) fn read(tensors: &Tensors, items: usize) -> Result<Self> {
        let order: Array<u32> = tensors.take("item.order", &[items])?;
        if order.iter().any(|&row| row as usize >= items) {
            return Err(model(format!("`item.order`: expected rows below {items}")));
        }
        let base = if tensors.has("item.id") {
            let ids = tensors.take("item.id", &[items])?;
            Base::Int { ids, order }
        } else {
            let bytes: Array<u8> = tensors.take("item.text", &[tensors.length("item.text")?])?;
            let offsets: Array<u64> = tensors.take("item.text_offsets", &[items + 1])?;
            check_text(&bytes, &offsets)?;
            Base::Text {
                bytes,
                offsets,
                order,
            }
        };
        Ok(Self {
            base: Arc::new(base),
            added: Vec::new(),
        })
    }

    /// True if the ids are integers.
    pub(super) fn are_ints(&self) -> bool {
        matches!(*self.base, Base::Int { .. })
    }

    /// The row of an integer id.
    pub(super) fn find_int(&self, id: i64) -> Option<u32> {
        let Base::Int { ids, order } = &*self.base else {
            return None;
        };
        let place = order.partition_point(|&row| ids[row as usize] < id);
        let found = order.get(place).filter(|&&row| ids[row as usize] == id).copied();
        found.or_else(|| self.find_added(|| ItemId::Int(id)))
    }

    /// The row of a string id.
    pub(super) fn find_text(&self, id: &str) -> Option<u32> {
        let Base::Text { order, .. } = &*self.base else {
            return None;
        };
        let text = |row: u32| self.base.text(row as usize);
        let place = order.partition_point(|&row| text(row) < id.as_bytes());
        let found = order
            .get(place)
            .filter(|&&row| text(row) == id.as_bytes())
            .copied();
        found.or_else(|| self.find_added(|| ItemId::Text(id.to_owned())))
    }

    /// The id of a row.
    pub(super) fn get(&self, row: usize) -> ItemId {
        let known = self.base.len();
        if row >= known {
            let layer = self.added.partition_point(|layer| layer.first <= row) - 1;
            return self.added[layer].ids[row - self.added[layer].first].clone();
        }
        match &*self.base {
            Base::Int { ids, .. } => ItemId::Int(ids[row]),
            Base::Text { .. } => ItemId::Text(String::from_utf8_lossy(self.base.text(row)).into_owned()),
        }
    }

    /// The ids with others behind them, of the same type and none of them known.
    ///
    /// They are a layer of their own, into which smaller layers are merged: each id is copied a few times only, whatever the
    /// number of calls.
    pub(super) fn with(&self, ids: Vec<ItemId>) -> Self {
        let mut added = self.added.clone();
        let first = added
            .last()
            .map_or(self.base.len(), |layer| layer.first + layer.ids.len());
        let (mut first, mut ids) = (first, ids);
        while let Some(layer) = added.pop_if(|layer| layer.ids.len() <= 2 * ids.len()) {
            first = layer.first;
            ids = layer.ids.iter().cloned().chain(ids).collect();
        }
        let places = ids.iter().cloned().zip(0..).collect();
        added.push(Arc::new(Added { first, ids, places }));
        Self {
            base: Arc::clone(&self.base),
            added,
        }
    }

    fn find_added(&self, id: impl FnOnce() -> ItemId) -> Option<u32> {
        if self.added.is_empty() {
            return None;
        }
        let id = id();
        self.added
            .iter()
            .find_map(|layer| layer.places.get(&id).map(|place| layer.first as u32 + place))
    }
}

impl Base {
    fn len(&self) -> usize {
        match self {
            Self::Int { ids, .. } => ids.len(),
            Self::Text { offsets, .. } => offsets.len() - 1,
        }
    }

    fn text(&self, row: usize) -> &[u8] {
        match self {
            Self::Int { .. } => &[],
            Self::Text { bytes, offsets, .. } => &bytes[offsets[row] as usize..offsets[row + 1] as usize],
        }
    }
}

/// Fails unless the offsets cut the bytes into strings.
fn check_text(bytes: &[u8], offsets: &[u64]) -> Result<()> {
    let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let whole = offsets.first() == Some(&0) && offsets.last() == Some(&(bytes.len() as u64));
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| ascending && whole && offsets.iter().all(|&at| text.is_char_boundary(at as usize)));
    text.map(|_| ())
        .ok_or_else(|| model("`item.text`: expected UTF-8 strings at ascending offsets".to_owned()))
}
