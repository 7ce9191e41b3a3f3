//! Counts among the arguments: an error names the argument, where pyo3 alone would report an overflow.

use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;

use crate::error::config_error;

/// An integer argument that should be a count; [`Count::get`] checks it.
pub(crate) enum Count {
    Fits(usize),
    /// Negative or beyond 64 bits, as written by Python.
    Beyond(String),
}

impl<'py> FromPyObject<'_, 'py> for Count {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match value.extract::<usize>() {
            Ok(count) => Ok(Self::Fits(count)),
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
                let text = value.str().map(|text| text.to_string());
                Ok(Self::Beyond(text.unwrap_or_else(|_| "huge".to_owned())))
            }
            Err(error) => Err(error),
        }
    }
}

impl Count {
    /// The count, or `ConfigError` that names the argument.
    pub(crate) fn get(self, name: &str) -> PyResult<usize> {
        match self {
            Self::Fits(count) => Ok(count),
            Self::Beyond(text) => Err(config_error(format!(
                "`{name}` is out of range: expected 0 to {}, got {text}",
                usize::MAX
            ))),
        }
    }

    /// The thread count of the argument `threads`, where `None` is 0 to the core: all cores.
    pub(crate) fn threads(threads: Option<Self>) -> PyResult<usize> {
        let got = match threads {
            None => return Ok(0),
            Some(Self::Fits(count)) if count > 0 => return Ok(count),
            Some(Self::Fits(count)) => count.to_string(),
            Some(Self::Beyond(text)) => text,
        };
        Err(config_error(format!(
            "`threads` is out of range: expected at least 1, or None for all cores, got {got}"
        )))
    }
}

/// Extractors for `#[pyo3(from_py_with = ...)]`, one for each name: an argument with a default that shows in its signature.
macro_rules! named {
    ($($name:ident: $type:ty),+) => {
        $(
            pub(crate) fn $name(value: &Bound<'_, PyAny>) -> PyResult<$type> {
                let count: Count = value.extract()?;
                Ok(count.get(stringify!($name))? as $type)
            }
        )+
    };
}

named!(alternatives: usize, beam: usize, depth: usize, iterations: usize, k: usize, rows_per_group: usize, seed: u64);
