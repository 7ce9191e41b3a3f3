//! Calls of the core: without the interpreter, stopped by Ctrl-C, and with every failure as an exception.

use std::cell::RefCell;

use pyo3::prelude::*;
use sidkit_core::{Error, Result, Trie, guard};

use crate::error::to_python;

thread_local! {
    /// The exception of the signal handler that stopped the call of this thread.
    static PENDING: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Calls `work` while other threads have the interpreter. Ctrl-C stops it, and so does any signal handler that raises.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| guard::run(Some(poll), work)).map_err(exception)
}

/// Calls `work` on a trie, as [`detached`].
pub(crate) fn on_trie<T: Send>(
    py: Python<'_>,
    trie: &Trie,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    py.detach(|| guard::run(Some(poll), work))
        .map_err(|error| exception(blame(trie, error)))
}

/// Calls `work`, which is short, without giving up the interpreter.
pub(crate) fn attached<T>(work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    guard::run(Some(poll), work).map_err(exception)
}

/// Calls `work` on a trie, as [`attached`].
pub(crate) fn on_trie_attached<T>(trie: &Trie, work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    guard::run(Some(poll), work).map_err(|error| exception(blame(trie, error)))
}

/// Runs the signal handlers of Python, which it does in its main thread only; true if one raised an exception.
fn poll() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => false,
        Err(raised) => {
            PENDING.set(Some(raised));
            true
        }
    })
}

fn exception(error: Error) -> PyErr {
    match error {
        Error::Stopped => PENDING.take().unwrap_or_else(|| to_python(error)),
        error => to_python(error),
    }
}

/// A state that should be impossible is possible in a trie whose file was trusted.
fn blame(trie: &Trie, error: Error) -> Error {
    match error {
        Error::Internal { message } if !trie.is_verified() => Error::Format {
            problem: format!(
                "its content is damaged: expected what `Trie.save` wrote, got `{message}`. Open it without `trusted`"
            ),
        },
        error => error,
    }
}
