//! The one place where an error of the core becomes a Python exception.

use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

/// Maps a core error to the Python exception that callers catch.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(to_python)`")]
pub(crate) fn to_python(error: sidkit_core::Error) -> PyErr {
    PyValueError::new_err(error.to_string())
}
