//! `LiveTrie`: a trie whose items come and go, from `NumPy` arrays.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sidkit_core::trie::live::Batch;

use crate::error::to_python;
use crate::sid::SidLayout;
use crate::trie::{Trie, integers, item_numbers};

/// A trie whose items come and go while others read it.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct LiveTrie {
    live: sidkit_core::trie::live::LiveTrie,
    layout: sidkit_core::SidLayout,
    torn: u64,
}

#[pymethods]
impl LiveTrie {
    #[new]
    #[pyo3(signature = (trie, *, unique=false))]
    fn new(py: Python<'_>, trie: &Trie, unique: bool) -> PyResult<Self> {
        let base = Arc::clone(&trie.0);
        let live = py.detach(|| sidkit_core::trie::live::LiveTrie::new(base, unique));
        live.map(|live| Self::of(live, 0)).map_err(to_python)
    }

    #[staticmethod]
    #[pyo3(signature = (path, trie, *, unique=false, mmap=false))]
    fn create(py: Python<'_>, path: PathBuf, trie: &Trie, unique: bool, mmap: bool) -> PyResult<Self> {
        let opened = py.detach(|| {
            sidkit_core::trie::live::LiveTrie::create(&path, &trie.0, unique)?;
            // We have just written it.
            sidkit_core::trie::live::LiveTrie::open(&path, mmap, true)
        });
        opened.map(|(live, torn)| Self::of(live, torn)).map_err(to_python)
    }

    #[staticmethod]
    #[pyo3(signature = (path, mmap=false, trusted=false))]
    fn open(py: Python<'_>, path: PathBuf, mmap: bool, trusted: bool) -> PyResult<Self> {
        let opened = py.detach(|| sidkit_core::trie::live::LiveTrie::open(&path, mmap, trusted));
        opened.map(|(live, torn)| Self::of(live, torn)).map_err(to_python)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.live.save(&path)).map_err(to_python)
    }

    #[getter]
    fn layout(&self) -> SidLayout {
        SidLayout(self.layout.clone())
    }

    #[getter]
    fn unique(&self, py: Python<'_>) -> bool {
        // Waits for a batch that is being taken.
        py.detach(|| self.live.unique())
    }

    #[getter]
    fn torn(&self) -> u64 {
        self.torn
    }

    #[getter]
    fn batches(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.live.batches())
    }

    #[getter]
    fn pending(&self) -> (usize, usize) {
        self.live.pending()
    }

    fn snapshot(&self) -> Trie {
        Trie(self.live.snapshot(), None, None)
    }

    fn add(&self, sids: &Bound<'_, PyAny>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        self.update(sids.py(), Some(sids), Some(items), None)
    }

    fn remove(&self, items: &Bound<'_, PyAny>) -> PyResult<()> {
        self.update(items.py(), None, None, Some(items))
    }

    #[pyo3(signature = (*, sids=None, items=None, remove=None))]
    fn update(
        &self,
        py: Python<'_>,
        sids: Option<&Bound<'_, PyAny>>,
        items: Option<&Bound<'_, PyAny>>,
        remove: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let removed = remove.map(|remove| integers("remove", remove)).transpose()?;
        let removed = removed.unwrap_or_default();
        let removed = &removed[..];
        let (sids, items) = match (sids, items) {
            (Some(sids), Some(items)) => (sids, item_numbers("items", items)?),
            (None, None) => {
                let nothing = Batch::<u64> {
                    removed,
                    keys: &[],
                    items: &[],
                };
                let nothing_wide = Batch::<[u64; 2]> {
                    removed,
                    keys: &[],
                    items: &[],
                };
                let done = py.detach(|| match self.layout.words() {
                    1 => self.live.apply(&nothing),
                    _ => self.live.apply(&nothing_wide),
                });
                return done.map_err(to_python);
            }
            _ => {
                return Err(PyValueError::new_err(
                    "`sids` and `items` belong together: expected both or neither, got one of them",
                ));
            }
        };
        let layout = self.layout();
        let keys = layout.packed("sids", sids)?;
        let (keys, items) = (keys.as_slice()?, &items[..]);
        let done = py.detach(|| match self.layout.words() {
            1 => self.live.apply(&Batch { removed, keys, items }),
            _ => self.live.apply(&Batch {
                removed,
                keys: keys.as_chunks::<2>().0,
                items,
            }),
        });
        done.map_err(to_python)
    }

    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.live.compact()).map_err(to_python)
    }

    fn __repr__(&self) -> String {
        let trie = self.live.snapshot();
        format!(
            "<LiveTrie of {} SIDs under {:?}, {} items>",
            trie.len(),
            self.layout.sizes(),
            trie.item_count()
        )
    }
}

impl LiveTrie {
    fn of(live: sidkit_core::trie::live::LiveTrie, torn: u64) -> Self {
        let layout = live.snapshot().layout().clone();
        Self { live, layout, torn }
    }
}
