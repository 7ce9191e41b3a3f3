//! `TrieWriter` for Python.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;

use pyo3::prelude::*;
use sidkit_core::trie::TrieWriter as Core;

use crate::error::{data_error, to_python};
use crate::guard;
use crate::sid::{self, SidLayout};
use crate::trie::item_numbers;

/// A writer for keys of one word or two.
enum Writer {
    One(Core<u64>),
    Two(Core<[u64; 2]>),
}

/// Writer of a trie file from sorted Semantic IDs, in bounded memory.
#[pyclass(module = "sidkit._core")]
pub(crate) struct TrieWriter {
    layout: sidkit_core::SidLayout,
    /// None after `finish`.
    writer: Option<Writer>,
}

#[pymethods]
impl TrieWriter {
    #[new]
    fn new(path: PathBuf, layout: &Bound<'_, SidLayout>) -> PyResult<Self> {
        let layout = layout.get().0.clone();
        let writer = match layout.words() {
            1 => Core::create(&path, layout.clone()).map(Writer::One),
            _ => Core::create(&path, layout.clone()).map(Writer::Two),
        };
        Ok(Self {
            writer: Some(writer.map_err(to_python)?),
            layout,
        })
    }

    #[pyo3(signature = (packed, items=None))]
    fn push(&mut self, packed: &Bound<'_, PyAny>, items: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let keys = sid::packed(&self.layout, "packed", packed)?;
        let items = items.map(|items| item_numbers("items", items)).transpose()?;
        let (keys, items) = (keys.as_slice()?, items.as_deref());
        let writer = self.writer.as_mut().ok_or_else(finished)?;
        guard::detached(packed.py(), || match writer {
            Writer::One(writer) => writer.push(keys, items),
            Writer::Two(writer) => writer.push(keys.as_chunks::<2>().0, items),
        })
    }

    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let writer = self.writer.take().ok_or_else(finished)?;
        guard::detached(py, || match writer {
            Writer::One(writer) => writer.finish(),
            Writer::Two(writer) => writer.finish(),
        })
    }
}

fn finished() -> PyErr {
    data_error("the writer is finished: expected one call of finish(), at the end. Make a new writer")
}
