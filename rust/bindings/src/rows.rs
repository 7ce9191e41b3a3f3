//! Vectors as rows of an array, in any number format that the core reads.

use numpy::{
    Element, Ix2, PyArrayDescrMethods, PyReadonlyArray2, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::prelude::*;
use sidkit_core::assign::Rows;

use crate::arrays;
use crate::error::type_error;

/// A checked array of rows, held so that it can be read without the GIL.
pub(crate) enum RowsArray<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    F16(PyReadonlyArray2<'py, u16>),
    Bf16(PyReadonlyArray2<'py, u16>),
}

impl<'py> RowsArray<'py> {
    /// The argument `x`: float32, float64, float16 or bfloat16 of shape (n, dim). With `copy`, a strided array is copied instead
    /// of refused.
    pub(crate) fn new(x: &Bound<'py, PyAny>, dim: usize, copy: bool) -> PyResult<Self> {
        let mut x = x.clone();
        if let Ok(array) = x.cast::<PyUntypedArray>()
            && copy
            && !(array.is_c_contiguous() && array.is_aligned())
        {
            x = x.call_method1("copy", ("C",))?;
        }
        let rows = Self::of(&x)?;
        arrays::check_axis("x", 1, rows.shape()[1], dim)?;
        Ok(rows)
    }

    fn of(x: &Bound<'py, PyAny>) -> PyResult<Self> {
        let Ok(array) = x.cast::<PyUntypedArray>() else {
            return read::<f32>(x).map(Self::F32);
        };
        let (py, found) = (x.py(), array.dtype());
        if found.is_equiv_to(&dtype::<f32>(py)) {
            return read(x).map(Self::F32);
        }
        match (found.kind(), found.itemsize()) {
            (b'f', 8) => read(x).map(Self::F64),
            // Both come as their bits; NumPy itself has no bfloat16, but `ml_dtypes` registers one.
            (b'f', 2) => read(&x.call_method1("view", ("uint16",))?).map(Self::F16),
            (_, 2) if found.getattr("name")?.extract::<&str>()? == "bfloat16" => {
                read(&x.call_method1("view", ("uint16",))?).map(Self::Bf16)
            }
            _ => Err(type_error(format!(
                "`x` has the wrong type: expected an array of float32, float64, float16 or bfloat16, got {found}. Convert it with `.astype(\"float32\")`"
            ))),
        }
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::F32(array) => array.shape(),
            Self::F64(array) => array.shape(),
            Self::F16(array) | Self::Bf16(array) => array.shape(),
        }
    }

    /// Number of rows.
    pub(crate) fn count(&self) -> usize {
        self.shape()[0]
    }

    /// The rows for the core.
    pub(crate) fn rows(&self) -> PyResult<Rows<'_>> {
        Ok(match self {
            Self::F32(array) => Rows::F32(array.as_slice()?),
            Self::F64(array) => Rows::F64(array.as_slice()?),
            Self::F16(array) => Rows::F16(array.as_slice()?),
            Self::Bf16(array) => Rows::Bf16(array.as_slice()?),
        })
    }
}

fn read<'py, T: Element>(x: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray2<'py, T>> {
    arrays::read::<T, Ix2>(x, "x", "(n, dim)")
}
