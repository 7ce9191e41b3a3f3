//! `ngram_rows` and `ngram_windows`: rows of embedding tables for arrays of packed SIDs.

use numpy::PyUntypedArrayMethods;
use numpy::ndarray::Ix2;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use sidkit_core::ngram::{Kind, Mode, Ngrams, Window};

use crate::arrays::{self, check_axis};
use crate::count::{self, Count};
use crate::error::{config_error, to_python, type_error};
use crate::guard;
use crate::sid::SidLayout;

/// List the windows `(start, length)` of a named kind of n-gram, in the order of the columns of `ngram_rows`.
#[pyfunction]
pub(crate) fn ngram_windows(layout: &SidLayout, kind: &str) -> PyResult<Vec<(usize, usize)>> {
    let windows = named(layout, kind)?;
    Ok(windows
        .iter()
        .map(|window| (window.start, window.length))
        .collect())
}

/// Find the rows of the n-grams of packed SIDs in one embedding table of `num_embeddings` rows.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
#[pyo3(signature = (packed, layout, *, kind, num_embeddings, seed=0, mode="mix", out=None, threads=None))]
pub(crate) fn ngram_rows<'py>(
    packed: &Bound<'py, PyAny>,
    layout: &SidLayout,
    kind: &Bound<'py, PyAny>,
    num_embeddings: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = count::seed)] seed: u64,
    mode: &str,
    out: Option<Bound<'py, PyAny>>,
    threads: Option<Count>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = packed.py();
    let plan = plan(layout, kind, num_embeddings, seed, mode)?;
    let keys = layout.packed("packed", packed)?;
    let (count, grams) = (keys.shape()[0], plan.grams());
    let out = match out {
        Some(out) => out,
        None => arrays::zeros::<i64, _>(py, [count, grams])?.into_any(),
    };
    let mut table_rows = arrays::write::<i64, Ix2>(&out, "out", "(n, grams)")?;
    check_axis("out", 0, table_rows.shape()[0], count)?;
    check_axis("out", 1, table_rows.shape()[1], grams)?;
    let threads = Count::threads(threads)?;
    let (keys, table_rows) = (keys.as_slice()?, table_rows.as_slice_mut()?);
    guard::detached(py, || match layout.0.words() {
        1 => plan.fill(keys, table_rows, threads),
        _ => plan.fill(keys.as_chunks::<2>().0, table_rows, threads),
    })?;
    Ok(out)
}

fn plan(
    layout: &SidLayout,
    kind: &Bound<'_, PyAny>,
    rows: &Bound<'_, PyAny>,
    seed: u64,
    mode: &str,
) -> PyResult<Ngrams> {
    let windows = match kind.extract::<&str>() {
        Ok(name) => named(layout, name)?,
        Err(_) => explicit(kind)?,
    };
    let mode = match mode {
        "mix" => Mode::Mix,
        "modulo" => Mode::Modulo,
        "murmur3" => Mode::Murmur3,
        _ => {
            return Err(config_error(format!(
                "`mode` is unknown: expected \"mix\", \"modulo\" or \"murmur3\", got \"{mode}\""
            )));
        }
    };
    let rows = table_rows(rows)?;
    Ngrams::new(layout.0.clone(), &windows, rows, seed, mode).map_err(to_python)
}

/// The argument `num_embeddings`; the core checks 0 and 2^63.
fn table_rows(rows: &Bound<'_, PyAny>) -> PyResult<u64> {
    rows.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(rows.py()) {
            let got = rows
                .str()
                .map_or_else(|_| "a huge number".to_owned(), |text| text.to_string());
            return config_error(format!(
                "`num_embeddings` is out of range: expected 1 to 2^63 - 1, got {got}"
            ));
        }
        error
    })
}

fn named(layout: &SidLayout, name: &str) -> PyResult<Vec<Window>> {
    let kind: Kind = name.parse().map_err(to_python)?;
    kind.windows(layout.0.levels()).map_err(to_python)
}

fn explicit(windows: &Bound<'_, PyAny>) -> PyResult<Vec<Window>> {
    let pairs: Vec<(usize, usize)> = windows.extract().map_err(|_| {
        type_error(format!(
            "`kind` is invalid: expected a name such as \"bigram\" or a list of windows (start, length), got {windows}"
        ))
    })?;
    Ok(pairs
        .into_iter()
        .map(|(start, length)| Window { start, length })
        .collect())
}
