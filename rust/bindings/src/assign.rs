//! `assign_codes` and `assign_details` for Python.

use numpy::{Ix2, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sidkit_core::assign::{Looks, Options, Outputs, assign_with};

use crate::count::{self, Count};
use crate::guard;
use crate::rows::RowsArray;
use crate::{arrays, codebook};

/// The code of the nearest codeword at every level, for every row.
#[pyfunction]
#[pyo3(signature = (x, codebooks, *, beam=1, out=None, threads=None, copy=false))]
pub(crate) fn assign_codes<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    codebooks: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = count::beam)] beam: usize,
    out: Option<Bound<'py, PyAny>>,
    threads: Option<Count>,
    copy: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let threads = Count::threads(threads)?;
    let codebooks = codebook::extract(codebooks)?;
    let levels = codebooks.levels().len();
    let x = RowsArray::new(x, codebooks.dim(), copy)?;
    let out = match out {
        Some(out) => out,
        None => arrays::zeros::<u16, _>(py, [x.count(), levels])?.into_any(),
    };
    let mut codes = arrays::write::<u16, Ix2>(&out, "out", "(n, levels)")?;
    arrays::check_axis("out", 0, codes.shape()[0], x.count())?;
    arrays::check_axis("out", 1, codes.shape()[1], levels)?;
    let (rows, codes) = (x.rows()?, codes.as_slice_mut()?);
    let outputs = Outputs {
        codes,
        ..Outputs::default()
    };
    guard::detached(py, || {
        assign_with(rows, &codebooks, outputs, Options { threads, beam })
    })?;
    Ok(out)
}

/// Codes with what is known about them.
#[pyclass(frozen, get_all, module = "sidkit._core")]
pub(crate) struct Assignment {
    codes: Py<PyArray2<u16>>,
    errors: Py<PyArray1<f64>>,
    nearest: Py<PyArray3<u16>>,
    distances: Py<PyArray3<f64>>,
    decisions: u64,
    second_looks: u64,
    exact_looks: u64,
}

#[pymethods]
impl Assignment {
    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let shape = slf.get().codes.bind(slf.py()).shape().to_vec();
        format!("Assignment(rows={}, levels={})", shape[0], shape[1])
    }
}

/// As `assign_codes`, with the error of every row, the nearest codes of every level, and how the codes were found.
#[pyfunction]
#[pyo3(signature = (x, codebooks, *, beam=1, alternatives=0, threads=None, copy=false))]
pub(crate) fn assign_details<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    codebooks: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = count::beam)] beam: usize,
    #[pyo3(from_py_with = count::alternatives)] alternatives: usize,
    threads: Option<Count>,
    copy: bool,
) -> PyResult<Assignment> {
    let threads = Count::threads(threads)?;
    let codebooks = codebook::extract(codebooks)?;
    let x = RowsArray::new(x, codebooks.dim(), copy)?;
    let (count, levels) = (x.count(), codebooks.levels().len());
    arrays::affordable::<[f64; 2]>("alternatives", count * levels, alternatives)?;
    let codes = arrays::zeros::<u16, _>(py, [count, levels])?;
    let errors = arrays::zeros::<f64, _>(py, count)?;
    let nearest = arrays::zeros::<u16, _>(py, [count, levels, alternatives])?;
    let distances = arrays::zeros::<f64, _>(py, [count, levels, alternatives])?;
    let Looks {
        decisions,
        second,
        exact,
    } = {
        let (mut codes, mut errors) = (codes.readwrite(), errors.readwrite());
        let (mut nearest, mut distances) = (nearest.readwrite(), distances.readwrite());
        let outputs = Outputs {
            codes: codes.as_slice_mut()?,
            errors: errors.as_slice_mut()?,
            alternatives,
            nearest: nearest.as_slice_mut()?,
            distances: distances.as_slice_mut()?,
        };
        let rows = x.rows()?;
        guard::detached(py, || {
            assign_with(rows, &codebooks, outputs, Options { threads, beam })
        })?
    };
    Ok(Assignment {
        codes: codes.unbind(),
        errors: errors.unbind(),
        nearest: nearest.unbind(),
        distances: distances.unbind(),
        decisions,
        second_looks: second,
        exact_looks: exact,
    })
}
