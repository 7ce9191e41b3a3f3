//! `SidLayout`: packing of `NumPy` arrays.

use numpy::ndarray::{Ix2, IxDyn};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sidkit_core::Error;

use crate::arrays::{self, check_axis};
use crate::count;
use crate::error::{data_error, to_python};
use crate::guard;

/// Sizes of the levels of a Semantic ID, and their packing into one or two 64-bit words.
#[pyclass(frozen, eq, hash, module = "sidkit._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct SidLayout(pub(crate) sidkit_core::SidLayout);

#[pymethods]
impl SidLayout {
    #[new]
    fn new(sizes: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut checked = Vec::new();
        for (level, size) in sizes.try_iter()?.enumerate() {
            let got = size?.extract::<i64>()?;
            checked.push(u32::try_from(got).map_err(|_| to_python(Error::LevelSize { level, got }))?);
        }
        sidkit_core::SidLayout::new(&checked).map(Self).map_err(to_python)
    }

    /// Number of tokens of each level.
    #[getter]
    fn sizes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.sizes())
    }

    /// Number of bits of each level: ceil(log2 size).
    #[getter]
    fn bits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.bits())
    }

    /// Number of bits of a SID.
    #[getter]
    fn total_bits(&self) -> u32 {
        self.0.total_bits()
    }

    /// Number of 64-bit words of a packed SID: 1 or 2.
    #[getter]
    fn words(&self) -> usize {
        self.0.words()
    }

    /// Number of tokens of a SID.
    #[getter]
    fn levels(&self) -> usize {
        self.0.levels()
    }

    /// Pack rows of tokens.
    #[pyo3(signature = (tokens, out=None))]
    fn pack<'py>(
        &self,
        tokens: &Bound<'py, PyAny>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = tokens.py();
        let tokens = arrays::read::<u16, Ix2>(tokens, "tokens", "(n, levels)")?;
        check_axis("tokens", 1, tokens.shape()[1], self.0.levels())?;
        let rows = tokens.shape()[0];
        let out = match out {
            Some(out) => out,
            None => self.new_packed(py, rows)?,
        };
        let mut keys = self.packed_out(&out, "out", rows)?;
        let (tokens, keys) = (tokens.as_slice()?, keys.as_slice_mut()?);
        guard::detached(py, || match self.0.words() {
            1 => self.0.pack(tokens, keys),
            _ => self.0.pack(tokens, keys.as_chunks_mut::<2>().0),
        })?;
        Ok(out)
    }

    /// Unpack SIDs into rows of tokens.
    #[pyo3(signature = (packed, out=None))]
    fn unpack<'py>(
        &self,
        packed: &Bound<'py, PyAny>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = packed.py();
        let keys = self.packed("packed", packed)?;
        let (rows, levels) = (keys.shape()[0], self.0.levels());
        let out = match out {
            Some(out) => out,
            None => arrays::zeros::<u16, _>(py, [rows, levels])?.into_any(),
        };
        let mut tokens = arrays::write::<u16, Ix2>(&out, "out", "(n, levels)")?;
        check_axis("out", 0, tokens.shape()[0], rows)?;
        check_axis("out", 1, tokens.shape()[1], levels)?;
        let (keys, tokens) = (keys.as_slice()?, tokens.as_slice_mut()?);
        guard::detached(py, || match self.0.words() {
            1 => self.0.unpack(keys, tokens),
            _ => self.0.unpack(keys.as_chunks::<2>().0, tokens),
        })?;
        Ok(out)
    }

    /// Return the first and the last packed SID, both inclusive, that begin with `tokens`.
    fn prefix_range(&self, tokens: &Bound<'_, PyAny>) -> PyResult<(u128, u128)> {
        let tokens = self.tokens(tokens)?;
        let range = self.0.prefix_range(&tokens).map_err(to_python)?;
        Ok(range.into_inner())
    }

    /// Cut packed SIDs to their first `depth` tokens; the other tokens become 0.
    fn prefix<'py>(
        &self,
        packed: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = count::depth)] depth: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = packed.py();
        let keys = self.packed("packed", packed)?;
        let rows = keys.shape()[0];
        let out = self.new_packed(py, rows)?;
        let mut cut = self.packed_out(&out, "out", rows)?;
        let (keys, cut) = (keys.as_slice()?, cut.as_slice_mut()?);
        guard::detached(py, || match self.0.words() {
            1 => self.0.prefix(keys, depth, cut),
            _ => self
                .0
                .prefix(keys.as_chunks::<2>().0, depth, cut.as_chunks_mut::<2>().0),
        })?;
        Ok(out)
    }

    /// Count the leading tokens that `a` and `b` share, row by row.
    fn common_prefix_length<'py>(
        &self,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let py = a.py();
        let (a, b) = (self.packed("a", a)?, self.packed("b", b)?);
        let out = arrays::zeros::<u8, _>(py, a.shape()[0])?;
        let mut lengths = out.readwrite();
        let (a, b, lengths) = (a.as_slice()?, b.as_slice()?, lengths.as_slice_mut()?);
        guard::detached(py, || match self.0.words() {
            1 => self.0.common_prefix_length(a, b, lengths),
            _ => self
                .0
                .common_prefix_length(a.as_chunks::<2>().0, b.as_chunks::<2>().0, lengths),
        })?;
        Ok(out)
    }

    fn __repr__(&self) -> String {
        format!("SidLayout({:?})", self.0.sizes())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyList>,))> {
        let sizes = PyList::new(slf.py(), slf.get().0.sizes())?;
        Ok((slf.get_type().into_any(), (sizes,)))
    }
}

impl SidLayout {
    /// `value` as the tokens of a prefix; numbers beyond 16 bits are out of the range of every level.
    fn tokens(&self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u16>> {
        let mut tokens = Vec::new();
        for (level, token) in value.try_iter()?.enumerate() {
            let token = token?.extract::<i64>()?;
            let size = self.0.sizes().get(level).copied().unwrap_or(65536);
            let range = Error::TokenRange {
                row: 0,
                level,
                token,
                size,
            };
            tokens.push(u16::try_from(token).map_err(|_| to_python(range))?);
        }
        Ok(tokens)
    }

    /// The argument `name` as packed SIDs to read: (n,) in one word, (n, 2) in two.
    pub(crate) fn packed<'py>(
        &self,
        name: &str,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<PyReadonlyArrayDyn<'py, u64>> {
        packed(&self.0, name, value)
    }

    /// The argument `name` as `rows` packed SIDs to write.
    fn packed_out<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        name: &str,
        rows: usize,
    ) -> PyResult<PyReadwriteArrayDyn<'py, u64>> {
        let array = arrays::write::<u64, IxDyn>(value, name, packed_shape(&self.0))?;
        check_packed(&self.0, name, array.shape())?;
        check_axis(name, 0, array.shape()[0], rows)?;
        Ok(array)
    }

    fn new_packed<'py>(&self, py: Python<'py>, rows: usize) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self.0.words() {
            1 => arrays::zeros::<u64, _>(py, rows)?.into_any(),
            _ => arrays::zeros::<u64, _>(py, [rows, 2])?.into_any(),
        })
    }
}

/// The argument `name` as packed SIDs of a layout to read: (n,) in one word, (n, 2) in two.
pub(crate) fn packed<'py>(
    layout: &sidkit_core::SidLayout,
    name: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<PyReadonlyArrayDyn<'py, u64>> {
    let array = arrays::read::<u64, IxDyn>(value, name, packed_shape(layout))?;
    check_packed(layout, name, array.shape())?;
    Ok(array)
}

fn packed_shape(layout: &sidkit_core::SidLayout) -> &'static str {
    if layout.words() == 1 { "(n,)" } else { "(n, 2)" }
}

fn check_packed(layout: &sidkit_core::SidLayout, name: &str, shape: &[usize]) -> PyResult<()> {
    match (layout.words(), shape) {
        (1, [_]) | (2, [_, 2]) => Ok(()),
        _ => Err(data_error(format!(
            "`{name}` has the wrong shape: expected {} for SIDs of {} bits, got {shape:?}",
            packed_shape(layout),
            layout.total_bits()
        ))),
    }
}
