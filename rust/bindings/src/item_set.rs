//! `ItemSet`: sets of a trie's items, and the limits of requests made of them.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use sidkit_core::trie::{Exclusion, Limits};

use crate::error::{data_error, type_error};
use crate::guard;
use crate::trie::integers;

/// A set of a trie's items.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct ItemSet {
    pub(crate) trie: Arc<sidkit_core::Trie>,
    pub(crate) set: sidkit_core::trie::ItemSet,
    pub(crate) item_ids: Option<Py<PyAny>>,
}

#[pymethods]
impl ItemSet {
    fn __len__(&self) -> usize {
        self.set.len()
    }

    fn __and__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.join(py, other, |a, b| a & b)
    }

    fn __or__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.join(py, other, |a, b| a | b)
    }

    fn __xor__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.join(py, other, |a, b| a ^ b)
    }

    fn __sub__(&self, py: Python<'_>, other: &Self) -> PyResult<Self> {
        self.join(py, other, |a, b| a & &!b)
    }

    fn __invert__(&self, py: Python<'_>) -> PyResult<Self> {
        let set = guard::on_trie_attached(&self.trie, || Ok(!&self.set))?;
        Ok(self.with(py, set))
    }

    #[getter]
    fn item_count(&self) -> usize {
        self.trie.item_count()
    }

    #[getter]
    fn item_ids(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.item_ids.as_ref().map(|ids| ids.clone_ref(py))
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let items = guard::on_trie(py, &self.trie, || self.trie.items_of(&self.set))?;
        Ok(items.into_pyarray(py))
    }

    fn __repr__(&self) -> String {
        format!(
            "<ItemSet: {} of {} items>",
            self.set.len(),
            self.trie.item_count()
        )
    }
}

impl ItemSet {
    /// Another set of the same trie.
    fn with(&self, py: Python<'_>, set: sidkit_core::trie::ItemSet) -> Self {
        Self {
            trie: Arc::clone(&self.trie),
            set,
            item_ids: self.item_ids(py),
        }
    }

    fn join(
        &self,
        py: Python<'_>,
        other: &Self,
        join: impl Fn(&sidkit_core::trie::ItemSet, &sidkit_core::trie::ItemSet) -> sidkit_core::trie::ItemSet,
    ) -> PyResult<Self> {
        if !Arc::ptr_eq(&self.trie, &other.trie) {
            return Err(data_error(
                "the sets belong to different tries: expected two sets of one trie",
            ));
        }
        let set = guard::on_trie_attached(&self.trie, || Ok(join(&self.set, &other.set)))?;
        Ok(self.with(py, set))
    }
}

/// The arguments `exclude` and `allow`.
pub(crate) struct OwnedLimits {
    exclude: Option<Exclusion>,
    allow: Vec<Py<ItemSet>>,
}

impl OwnedLimits {
    pub(crate) fn new(
        trie: &Arc<sidkit_core::Trie>,
        exclude: Option<Bound<'_, PyAny>>,
        allow: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let allow = match allow {
            None => Vec::new(),
            Some(allow) => match allow.cast::<ItemSet>() {
                Ok(set) => vec![set.clone().unbind()],
                Err(_) => allow.extract::<Vec<Py<ItemSet>>>().map_err(|_| {
                    type_error(format!(
                        "`allow` has the wrong type: expected an ItemSet, or a list with one per group, got {}",
                        allow.get_type()
                    ))
                })?,
            },
        };
        if allow.iter().any(|set| !Arc::ptr_eq(&set.get().trie, trie)) {
            return Err(data_error(
                "a set of `allow` belongs to another trie: expected a set of this one. Make it with its `item_set`",
            ));
        }
        let exclude = exclude.map(|exclude| exclusion(trie, &exclude)).transpose()?;
        Ok(Self { exclude, allow })
    }

    /// Calls `work` with the limits.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&Limits<'_>) -> R) -> R {
        let allow: Vec<_> = self.allow.iter().map(|set| &set.get().set).collect();
        work(&Limits {
            exclude: self.exclude.as_ref(),
            allow: &allow,
        })
    }

    /// True if everything is permitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.exclude.is_none() && self.allow.is_empty()
    }
}

/// The ragged rows of items that each group must not get: a pair of values and offsets, or an object that has them.
fn exclusion(trie: &sidkit_core::Trie, exclude: &Bound<'_, PyAny>) -> PyResult<Exclusion> {
    let pair = exclude.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>();
    let read = || Some((exclude.getattr("values").ok()?, exclude.getattr("offsets").ok()?));
    let (values, offsets) = pair.ok().or_else(read).ok_or_else(|| {
        type_error(format!(
            "`exclude` has the wrong type: expected `(values, offsets)` or an object with these attributes, such as Sequences, got {}",
            exclude.get_type()
        ))
    })?;
    let (values, offsets) = (integers("values", &values)?, integers("offsets", &offsets)?);
    guard::on_trie_attached(trie, || trie.exclusion(&values, &offsets))
}
