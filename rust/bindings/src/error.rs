//! Conversion of core errors to Python exceptions.

use std::io;

use pyo3::exceptions::{PyMemoryError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use sidkit_core::Error;

/// Converts a core error to a Python exception.
#[expect(clippy::needless_pass_by_value, reason = "used as `map_err(to_python)`")]
pub(crate) fn to_python(error: Error) -> PyErr {
    match error {
        Error::Io {
            ref path,
            code: Some(code),
            ref message,
            ..
        } => {
            let said = message
                .rsplit_once(" (os error")
                .map_or(message.as_str(), |(said, _)| said);
            PyOSError::new_err((code, said.to_owned(), path.clone()))
        }
        Error::Io { kind, .. } => io::Error::new(kind, error.to_string()).into(),
        Error::Format { .. } | Error::Model { .. } => of_sidkit("FormatError", error.to_string()),
        Error::Range { .. }
        | Error::Kernel { .. }
        | Error::LevelCount { .. }
        | Error::LevelSize { .. }
        | Error::TooWide { .. }
        | Error::Rows { .. }
        | Error::GramKind { .. }
        | Error::NoWindows
        | Error::Scoring { .. }
        | Error::Fixed
        | Error::Share { .. }
        | Error::Window { .. } => config_error(error.to_string()),
        Error::SharedKey { .. } => of_sidkit("CollisionError", error.to_string()),
        Error::Internal { .. } => of_sidkit("InternalError", error.to_string()),
        Error::Memory { .. } => PyMemoryError::new_err(error.to_string()),
        _ => data_error(error.to_string()),
    }
}

/// `ConfigError`: an argument is invalid, alone or together with others.
pub(crate) fn config_error(message: impl Into<String>) -> PyErr {
    of_sidkit("ConfigError", message.into())
}

/// `DataError`: an array or a number of the user is invalid.
pub(crate) fn data_error(message: impl Into<String>) -> PyErr {
    of_sidkit("DataError", message.into())
}

/// `DataTypeError`: an argument has the wrong type.
pub(crate) fn type_error(message: impl Into<String>) -> PyErr {
    of_sidkit("DataTypeError", message.into())
}

/// An exception class of `sidkit.errors`.
fn of_sidkit(name: &str, message: String) -> PyErr {
    Python::attach(|py| {
        let class = py.import("sidkit.errors").and_then(|errors| errors.getattr(name));
        match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
            Ok(class) => PyErr::from_type(class, message),
            Err(error) => error,
        }
    })
}
