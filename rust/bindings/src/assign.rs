//! `assign_codes` for Python.

use numpy::{Ix2, PyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::error::to_python;
use crate::{arrays, codebook};

/// The code of the nearest codeword at every level, for every row.
#[pyfunction]
#[pyo3(signature = (x, codebooks, *, out=None, threads=None))]
pub(crate) fn assign_codes<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    codebooks: &Bound<'py, PyAny>,
    out: Option<Bound<'py, PyAny>>,
    threads: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = arrays::threads(threads)?;
    let codebooks = codebook::extract(codebooks)?;
    let levels = codebooks.levels().len();
    let rows = arrays::read::<f32, Ix2>(x, "x", "(n, dim)")?;
    arrays::check_axis("x", 1, rows.shape()[1], codebooks.dim())?;
    let out = out.unwrap_or_else(|| PyArray2::<u16>::zeros(py, [rows.shape()[0], levels], false).into_any());
    let mut codes = arrays::write::<u16, Ix2>(&out, "out", "(n, levels)")?;
    arrays::check_axis("out", 0, codes.shape()[0], rows.shape()[0])?;
    arrays::check_axis("out", 1, codes.shape()[1], levels)?;
    let (rows, codes) = (rows.as_slice()?, codes.as_slice_mut()?);
    py.detach(|| sidkit_core::assign(rows, &codebooks, codes, threads))
        .map_err(to_python)?;
    Ok(out)
}
