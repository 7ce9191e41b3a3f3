//! `LiveTrie`: a trie whose items come and go, from `NumPy` arrays.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use sidkit_core::trie::live::Batch;

use crate::error::data_error;
use crate::guard;
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
        let live = guard::detached(py, || sidkit_core::trie::live::LiveTrie::new(base, unique));
        live.map(|live| Self::of(live, 0))
    }

    #[staticmethod]
    #[pyo3(signature = (path, trie, *, unique=false, mmap=false))]
    fn create(py: Python<'_>, path: PathBuf, trie: &Trie, unique: bool, mmap: bool) -> PyResult<Self> {
        let opened = guard::on_trie(py, &trie.0, || {
            sidkit_core::trie::live::LiveTrie::create(&path, &trie.0, unique)?;
            // We have just written it.
            sidkit_core::trie::live::LiveTrie::open(&path, mmap, true)
        });
        opened.map(|(live, torn)| Self::of(live, torn))
    }

    #[staticmethod]
    #[pyo3(signature = (path, mmap=false, trusted=false))]
    fn open(py: Python<'_>, path: PathBuf, mmap: bool, trusted: bool) -> PyResult<Self> {
        let opened = guard::detached(py, || {
            sidkit_core::trie::live::LiveTrie::open(&path, mmap, trusted)
        });
        opened.map(|(live, torn)| Self::of(live, torn))
    }

    #[staticmethod]
    #[pyo3(signature = (path, report=None, *, mmap=false))]
    fn recover(
        py: Python<'_>,
        path: PathBuf,
        report: Option<Bound<'_, PyAny>>,
        mmap: bool,
    ) -> PyResult<Self> {
        let (live, skipped) =
            guard::detached(py, || sidkit_core::trie::live::LiveTrie::recover(&path, mmap))?;
        let report = match report {
            Some(report) => report,
            None => py.import("warnings")?.getattr("warn")?,
        };
        for part in skipped {
            report.call1((format!(
                "`{}`, bytes {} to {} of the journal: {}",
                path.display(),
                part.place.start,
                part.place.end,
                part.problem
            ),))?;
        }
        Ok(Self::of(live, 0))
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        guard::detached(py, || self.live.save(&path))
    }

    #[getter]
    fn layout(&self) -> SidLayout {
        SidLayout(self.layout.clone())
    }

    #[getter]
    fn unique(&self) -> bool {
        self.live.unique()
    }

    #[getter]
    fn torn(&self) -> u64 {
        self.torn
    }

    #[getter]
    fn batches(&self) -> u64 {
        self.live.batches()
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
                return guard::detached(py, || match self.layout.words() {
                    1 => self.live.apply(&nothing),
                    _ => self.live.apply(&nothing_wide),
                });
            }
            _ => {
                return Err(data_error(
                    "`sids` and `items` belong together: expected both or neither, got one of them",
                ));
            }
        };
        let layout = self.layout();
        let keys = layout.packed("sids", sids)?;
        let (keys, items) = (keys.as_slice()?, &items[..]);
        guard::detached(py, || match self.layout.words() {
            1 => self.live.apply(&Batch { removed, keys, items }),
            _ => self.live.apply(&Batch {
                removed,
                keys: keys.as_chunks::<2>().0,
                items,
            }),
        })
    }

    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        guard::detached(py, || self.live.compact())
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
