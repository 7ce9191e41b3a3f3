//! `Codebooks` for Python.

use std::sync::Arc;

use numpy::{Ix2, Ix3, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sidkit_core::Kernel;

use crate::arrays;
use crate::error::{config_error, data_error};
use crate::guard;

/// Codebooks of a residual quantizer, copied, checked and prepared once; immutable and shared freely between threads.
#[pyclass(frozen, module = "sidkit._core", name = "Codebooks")]
pub(crate) struct Codebooks(pub(crate) Arc<sidkit_core::Codebooks>);

#[pymethods]
impl Codebooks {
    #[new]
    #[pyo3(signature = (codebooks, *, kernel=None))]
    fn new(codebooks: &Bound<'_, PyAny>, kernel: Option<&str>) -> PyResult<Self> {
        from_arrays(codebooks, kernel_of(kernel)?).map(Self)
    }

    /// Instruction set of the assignment.
    #[getter]
    fn kernel(&self) -> &'static str {
        self.0.kernel().name()
    }

    /// Number of codes per level, first level first.
    #[getter]
    fn sizes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.levels().iter().map(sidkit_core::Codebook::size))
    }

    /// Width of a codeword.
    #[getter]
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn __len__(&self) -> usize {
        self.0.levels().len()
    }

    /// Return a copy of the codewords of one level, float32 (codes, dim).
    fn __getitem__<'py>(&self, py: Python<'py>, level: isize) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let levels = self.0.levels();
        let place = if level < 0 {
            level.checked_add_unsigned(levels.len())
        } else {
            Some(level)
        };
        let found = place.and_then(|place| levels.get(usize::try_from(place).ok()?));
        let found = found.ok_or_else(|| {
            PyIndexError::new_err(format!("level {level} of codebooks with {} levels", levels.len()))
        })?;
        numpy::PyArray1::from_slice(py, found.words()).reshape([found.size(), self.0.dim()])
    }

    /// The sums of the codewords that `codes` name.
    #[pyo3(signature = (codes, /))]
    fn decode<'py>(&self, py: Python<'py>, codes: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let codes = arrays::read::<u16, Ix2>(codes, "codes", "(n, levels)")?;
        arrays::check_axis("codes", 1, codes.shape()[1], self.0.levels().len())?;
        let rows = arrays::zeros(py, [codes.shape()[0], self.0.dim()])?;
        let mut target = rows.readwrite();
        let (codes, target) = (codes.as_slice()?, target.as_slice_mut()?);
        guard::detached(py, || self.0.decode(codes, target))?;
        Ok(rows)
    }

    fn __repr__(&self) -> String {
        let sizes: Vec<_> = self.0.levels().iter().map(sidkit_core::Codebook::size).collect();
        format!("Codebooks(sizes={sizes:?}, dim={})", self.0.dim())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let levels = (0..slf.get().0.levels().len())
            .map(|level| slf.get().__getitem__(slf.py(), level.cast_signed()))
            .collect::<PyResult<Vec<_>>>()?;
        let arguments = PyTuple::new(slf.py(), [PyList::new(slf.py(), levels)?])?;
        Ok((slf.get_type().into_any(), arguments))
    }
}

/// Prepared codebooks as they are, or new ones from an array or a sequence of arrays.
pub(crate) fn extract(codebooks: &Bound<'_, PyAny>) -> PyResult<Arc<sidkit_core::Codebooks>> {
    match codebooks.cast::<Codebooks>() {
        Ok(prepared) => Ok(Arc::clone(&prepared.get().0)),
        Err(_) => from_arrays(codebooks, Kernel::best()),
    }
}

pub(crate) fn kernel_of(name: Option<&str>) -> PyResult<Kernel> {
    let Some(name) = name else {
        return Ok(Kernel::best());
    };
    Kernel::from_name(name).ok_or_else(|| {
        config_error(format!(
            "`kernel` is unknown: expected \"vnni\", \"avx512\", \"avx2\", \"neon\" or \"portable\", got {name:?}"
        ))
    })
}

fn from_arrays(codebooks: &Bound<'_, PyAny>, kernel: Kernel) -> PyResult<Arc<sidkit_core::Codebooks>> {
    let (dim, levels) = match codebooks.cast::<PyList>() {
        Ok(list) => from_sequence(&list.to_tuple())?,
        Err(_) => match codebooks.cast::<PyTuple>() {
            Ok(tuple) => from_sequence(tuple)?,
            Err(_) => from_cube(codebooks)?,
        },
    };
    let made = guard::detached(codebooks.py(), || {
        sidkit_core::Codebooks::with_kernel(dim, levels, kernel)
    });
    made.map(Arc::new)
}

fn from_cube(codebooks: &Bound<'_, PyAny>) -> PyResult<(usize, Vec<Vec<f32>>)> {
    let cube = arrays::read::<f32, Ix3>(codebooks, "codebooks", "(levels, codes, dim)")?;
    let &[levels, codes, dim] = cube.shape() else {
        unreachable!("three axes")
    };
    if codes * dim == 0 {
        return Ok((dim, vec![Vec::new(); levels]));
    }
    Ok((
        dim,
        cube.as_slice()?
            .chunks_exact(codes * dim)
            .map(<[f32]>::to_vec)
            .collect(),
    ))
}

fn from_sequence(levels: &Bound<'_, PyTuple>) -> PyResult<(usize, Vec<Vec<f32>>)> {
    let mut dim = None;
    let mut words = Vec::with_capacity(levels.len());
    for (level, array) in levels.iter().enumerate() {
        let name = format!("codebooks[{level}]");
        let array = arrays::read::<f32, Ix2>(&array, &name, "(codes, dim)")?;
        arrays::check_axis(&name, 1, array.shape()[1], *dim.get_or_insert(array.shape()[1]))?;
        words.push(array.as_slice()?.to_vec());
    }
    let dim = dim.ok_or_else(|| data_error("`codebooks` is empty: expected at least one level, got none"))?;
    Ok((dim, words))
}
