//! Where a trie came from, and so how it is pickled: as the path of its file while that is still the same, or as its bytes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::data_error;
use crate::guard;
use crate::trie::Trie;

/// A function of this module and its arguments, as `__reduce__` gives them.
pub(crate) type Pickled<'py> = (Bound<'py, PyAny>, Bound<'py, PyTuple>);

/// The file that a trie was opened from.
pub(crate) struct Origin {
    path: PathBuf,
    mmap: bool,
    trusted: bool,
    stamp: Stamp,
}

/// A file's length and the nanoseconds of its last change: a saved trie is a new file with another time.
type Stamp = (u64, u128);

impl Origin {
    /// The file at `path`, if the system tells about it.
    pub(crate) fn of(path: &Path, mmap: bool, trusted: bool) -> Option<Self> {
        // Workers may be in another directory.
        let path = std::path::absolute(path).ok()?;
        let stamp = stamp(&path).ok()?;
        Some(Self {
            path,
            mmap,
            trusted,
            stamp,
        })
    }

    /// True if the file is still the one that was opened.
    pub(crate) fn holds(&self) -> bool {
        stamp(&self.path).is_ok_and(|now| now == self.stamp)
    }

    pub(crate) fn pickle<'py>(&self, py: Python<'py>) -> PyResult<Pickled<'py>> {
        let arguments = (self.path.clone(), self.mmap, self.trusted, self.stamp);
        Ok((function(py, "_trie_from_file")?, arguments.into_pyobject(py)?))
    }

    pub(crate) fn pickle_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Pickled<'py>> {
        let bytes = PyBytes::new_with(py, bytes.len(), |target| {
            target.copy_from_slice(bytes);
            Ok(())
        })?;
        let arguments = (bytes,);
        Ok((function(py, "_trie_from_bytes")?, arguments.into_pyobject(py)?))
    }
}

/// Opens the file of a pickled trie.
#[pyfunction]
#[pyo3(name = "_trie_from_file")]
pub(crate) fn trie_from_file(
    py: Python<'_>,
    path: PathBuf,
    mmap: bool,
    trusted: bool,
    was: Stamp,
) -> PyResult<Trie> {
    if stamp(&path).is_ok_and(|now| now != was) {
        return Err(data_error(format!(
            "`{}` was changed: expected the file that the pickled trie was opened from. Open it and pickle again",
            path.display()
        )));
    }
    Trie::open(py, path, mmap, trusted)
}

/// Reads the bytes of a pickled trie.
#[pyfunction]
#[pyo3(name = "_trie_from_bytes")]
pub(crate) fn trie_from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Trie> {
    guard::detached(py, || sidkit_core::Trie::from_bytes(bytes, false)).map(Trie::of)
}

fn function<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("sidkit._core")?.getattr(name)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let file = fs::metadata(path)?;
    let changed = file.modified()?.duration_since(SystemTime::UNIX_EPOCH);
    Ok((file.len(), changed.map_or(0, |time| time.as_nanos())))
}
