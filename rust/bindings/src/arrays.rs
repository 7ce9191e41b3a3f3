//! Checks of `NumPy` arguments: dtype, dimensions, contiguity and writability; errors name the argument.

use numpy::ndarray::Dimension;
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyReadwriteArray, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The argument `name` as a C-contiguous array to read, without a copy; read-only arrays are welcome.
///
/// `shape` is the expected shape for the message, such as `(n, dim)`. `TypeError` for anything but an array of the
/// dtype, `ValueError` for other dimensions, strides or alignment. Get its elements with `as_slice()`.
pub(crate) fn read<'py, T: Element, D: Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = contiguous::<T, D>(value, name, shape)?;
    array.try_readonly().map_err(|_| {
        PyValueError::new_err(format!(
            "`{name}` is in use: expected an array that no other call writes to. Wait for that call, or pass a copy"
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
            "`{name}` cannot be written: expected a writable array that no other argument or call uses. Pass another array"
        ))
    })
}

/// Fails with `ValueError` unless an axis of the argument `name` has the length that another argument asks for.
pub(crate) fn check_axis(name: &str, axis: usize, got: usize, expected: usize) -> PyResult<()> {
    if got == expected {
        return Ok(());
    }
    Err(PyValueError::new_err(format!(
        "axis {axis} of `{name}` has the wrong length: expected {expected} to fit the other arguments, got {got}"
    )))
}

/// Fails with `MemoryError` unless `rows` times `columns` elements can be had; the core's vectors would end the process.
pub(crate) fn affordable<T>(what: &str, rows: usize, columns: usize) -> PyResult<()> {
    let reserve = |count| {
        let mut room = Vec::<T>::new();
        let reserved = room.try_reserve_exact(count);
        // Without this the optimizer removes the unused allocation.
        std::hint::black_box(&room);
        reserved.ok()
    };
    rows.checked_mul(columns).and_then(reserve).ok_or_else(|| {
        PyMemoryError::new_err(format!(
            "`{what}` is too large: expected values that fit into memory, got {rows} x {columns}. Ask for fewer"
        ))
    })
}

fn contiguous<'a, 'py, T: Element, D: Dimension>(
    value: &'a Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<&'a Bound<'py, PyArray<T, D>>> {
    let expected = || {
        format!(
            "`{name}` is invalid: expected a C-contiguous {} array of shape {shape}",
            T::get_dtype(value.py())
        )
    };
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        let got = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{}, got {got}", expected())));
    };
    if !array.dtype().is_equiv_to(&T::get_dtype(value.py())) {
        let hint = format!("Convert it with `.astype(\"{}\")`", T::get_dtype(value.py()));
        return Err(PyTypeError::new_err(format!(
            "{}, got {}. {hint}",
            expected(),
            array.dtype()
        )));
    }
    if D::NDIM.is_some_and(|dimensions| dimensions != array.ndim()) {
        return Err(PyValueError::new_err(format!(
            "{}, got shape {:?}",
            expected(),
            array.shape()
        )));
    }
    if !(array.is_c_contiguous() && array.is_aligned()) {
        return Err(PyValueError::new_err(format!(
            "{}, got a strided or unaligned view. Copy it with `numpy.ascontiguousarray`",
            expected()
        )));
    }
    // Dtype and dimensions were checked, so this cannot fail.
    Ok(value.cast::<PyArray<T, D>>()?)
}
