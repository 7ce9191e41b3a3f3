//! `NumPy` arrays at the door: dtype, dimensions, contiguity and writability, each with an error that names the argument.

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyReadwriteArray, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The argument `name` as a C-contiguous array to read, without a copy; read-only arrays are welcome.
///
/// `shape` says in the error what was expected, such as `(n, dim)`. `TypeError` for something else than an array or
/// another dtype, `ValueError` for other dimensions, strides or alignment. Get its elements with `as_slice()`.
pub(crate) fn read<'py, T: Element, D: Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = contiguous::<T, D>(value, name, shape)?;
    array.try_readonly().map_err(|_| {
        PyValueError::new_err(format!(
            "`{name}` is being written to by another call; wait for that call, or pass a copy"
        ))
    })
}

/// The argument `name` as a C-contiguous array to write into; errors as [`read`], and `ValueError` where it is read-only.
pub(crate) fn write<'py, T: Element, D: Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    let array = contiguous::<T, D>(value, name, shape)?;
    array.try_readwrite().map_err(|_| {
        PyValueError::new_err(format!(
            "`{name}` must be writable and used by no other argument or call; pass an array of your own"
        ))
    })
}

/// Fails with `ValueError` unless an axis of the argument `name` has the length that another argument asks for.
pub(crate) fn check_axis(name: &str, axis: usize, got: usize, expected: usize) -> PyResult<()> {
    if got == expected {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "axis {axis} of `{name}` has length {got}, but must have {expected} to fit the other arguments"
    )))
}

/// Fails with `MemoryError` unless `rows` times `columns` elements can be had; the core's vectors would end the process.
pub(crate) fn affordable<T>(what: &str, rows: usize, columns: usize) -> PyResult<()> {
    let reserve = |count| {
        let mut room = Vec::<T>::new();
        let reserved = room.try_reserve_exact(count);
        // Or the optimizer sees that nobody uses the room, and takes it as had.
        std::hint::black_box(&room);
        reserved.ok()
    };
    rows.checked_mul(columns).and_then(reserve).ok_or_else(|| {
        PyMemoryError::new_err(format!(
            "`{what}` asks for {rows} x {columns} values, more than there is memory for; ask for fewer"
        ))
    })
}

fn contiguous<'a, 'py, T: Element, D: Dimension>(
    value: &'a Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<&'a Bound<'py, PyArray<T, D>>> {
    let wanted = || {
        format!(
            "`{name}` must be a C-contiguous {} array of shape {shape}",
            T::get_dtype(value.py())
        )
    };
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let got = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{}, not {got}", wanted())));
    };
    if !array.dtype().is_equiv_to(&T::get_dtype(value.py())) {
        let hint = format!("convert it with `.astype(\"{}\")`", T::get_dtype(value.py()));
        return Err(PyTypeError::new_err(format!(
            "{}, not {}; {hint}",
            wanted(),
            array.dtype()
        )));
    }
    if D::NDIM.is_some_and(|dimensions| dimensions != array.ndim()) {
        return Err(PyValueError::new_err(format!(
            "{}; its shape is {:?}",
            wanted(),
            array.shape()
        )));
    }
    if !(array.is_c_contiguous() && array.is_aligned()) {
        return Err(PyValueError::new_err(format!(
            "{}; it is a strided or unaligned view: copy it with `numpy.ascontiguousarray`",
            wanted()
        )));
    }
    // Dtype and dimensions were checked, so this cannot fail.
    Ok(value.cast::<PyArray<T, D>>()?)
}
