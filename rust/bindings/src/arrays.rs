//! Checks of `NumPy` arguments: dtype, dimensions, contiguity and writability; errors name the argument.

use std::ffi::c_int;

use numpy::ndarray::{Dimension, IntoDimension};
use numpy::npyffi::{PY_ARRAY_API, npy_intp};
use numpy::{
    Element, PyArray, PyArrayDescrMethods, PyArrayMethods, PyReadonlyArray, PyReadwriteArray, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use sidkit_core::memory;

use crate::error::{data_error, type_error};
use crate::guard;

/// The argument `name` as a C-contiguous array to read, without a copy; read-only arrays are welcome.
///
/// `shape` is the expected shape for the message, such as `(n, dim)`. `DataTypeError` for anything but an array of the
/// dtype, `DataError` for other dimensions, strides or alignment. Get its elements with `as_slice()`.
pub(crate) fn read<'py, T: Element, D: Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = contiguous::<T, D>(value, name, shape)?;
    array.try_readonly().map_err(|_| {
        data_error(format!(
            "`{name}` is in use: expected an array that no other call writes to. Wait for that call, or pass a copy"
        ))
    })
}

/// The argument `name` as a C-contiguous array to write into; errors as [`read`], and `DataError` where it is read-only.
pub(crate) fn write<'py, T: Element, D: Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    shape: &str,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    let array = contiguous::<T, D>(value, name, shape)?;
    array.try_readwrite().map_err(|_| {
        data_error(format!(
            "`{name}` cannot be written: expected a writable array that no other argument or call uses. Pass another array"
        ))
    })
}

/// Fails with `DataError` unless an axis of the argument `name` has the length that another argument asks for.
pub(crate) fn check_axis(name: &str, axis: usize, got: usize, expected: usize) -> PyResult<()> {
    if got == expected {
        return Ok(());
    }
    Err(data_error(format!(
        "axis {axis} of `{name}` has the wrong length: expected {expected} to fit the other arguments, got {got}"
    )))
}

/// Fails with `MemoryError` unless `rows` times `columns` elements can be had.
pub(crate) fn affordable<T>(what: &str, rows: usize, columns: usize) -> PyResult<()> {
    let fits = guard::attached(|| Ok(memory::product::<T>(rows, columns)));
    fits.map(drop).map_err(|_| {
        PyMemoryError::new_err(format!(
            "`{what}` is too large: expected values that fit into memory, got {rows} x {columns}. Ask for fewer"
        ))
    })
}

/// A new array of zeros, or `MemoryError`.
pub(crate) fn zeros<T: Element, D: Dimension>(
    py: Python<'_>,
    shape: impl IntoDimension<Dim = D>,
) -> PyResult<Bound<'_, PyArray<T, D>>> {
    let shape = shape.into_dimension();
    guard::attached(|| {
        let count = shape
            .slice()
            .iter()
            .try_fold(1_usize, |count, &size| count.checked_mul(size));
        memory::check::<T>(count.unwrap_or(usize::MAX));
        Ok(())
    })?;
    let mut sizes: Vec<npy_intp> = shape.slice().iter().map(|&size| size as npy_intp).collect();
    // SAFETY: `sizes` has as many numbers as dimensions are announced, and the call takes over the new reference to the dtype.
    let array = unsafe {
        let dtype = T::get_dtype(py).into_dtype_ptr();
        let array = PY_ARRAY_API.PyArray_Zeros(py, sizes.len() as c_int, sizes.as_mut_ptr(), dtype, 0);
        Bound::from_owned_ptr_or_err(py, array)?
    };
    Ok(array.cast_into::<PyArray<T, D>>()?)
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
        return Err(type_error(format!("{}, got {got}", expected())));
    };
    if !array.dtype().is_equiv_to(&T::get_dtype(value.py())) {
        let hint = format!("Convert it with `.astype(\"{}\")`", T::get_dtype(value.py()));
        return Err(type_error(format!(
            "{}, got {}. {hint}",
            expected(),
            array.dtype()
        )));
    }
    if D::NDIM.is_some_and(|dimensions| dimensions != array.ndim()) {
        return Err(data_error(format!(
            "{}, got shape {:?}",
            expected(),
            array.shape()
        )));
    }
    if !(array.is_c_contiguous() && array.is_aligned()) {
        return Err(data_error(format!(
            "{}, got a strided or unaligned view. Copy it with `numpy.ascontiguousarray`",
            expected()
        )));
    }
    // Dtype and dimensions were checked, so this cannot fail.
    Ok(value.cast::<PyArray<T, D>>()?)
}
