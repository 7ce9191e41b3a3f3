//! `SidLayout`: packing of `NumPy` arrays.

use numpy::{
    BorrowError, Element, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods,
    PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArray, PyUntypedArrayMethods, dtype,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use sidkit_core::Error;

use crate::error::to_python;

/// How many codes each level of a Semantic ID has, and so how it packs into one or two 64-bit words.
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

    /// How many codes each level has.
    #[getter]
    fn sizes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.sizes())
    }

    /// How many bits each level takes: ceil(log2 size).
    #[getter]
    fn bits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.bits())
    }

    /// How many bits a whole SID takes.
    #[getter]
    fn total_bits(&self) -> u32 {
        self.0.total_bits()
    }

    /// How many 64-bit words a packed SID takes: 1 or 2.
    #[getter]
    fn words(&self) -> usize {
        self.0.words()
    }

    /// How many digits a SID has.
    #[getter]
    fn levels(&self) -> usize {
        self.0.levels()
    }

    /// Pack rows of digits.
    #[pyo3(signature = (codes, out=None))]
    fn pack<'py>(
        &self,
        codes: &Bound<'py, PyAny>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = codes.py();
        let codes = self.codes("codes", codes)?;
        let rows = codes.shape()[0];
        let out = out.map_or_else(|| Ok(self.new_packed(py, rows)), |out| self.packed_out(out, rows))?;
        let mut keys = writable::<u64>("out", &out)?;
        let (codes, keys) = (codes.as_slice()?, keys.as_slice_mut()?);
        py.detach(|| match self.0.words() {
            1 => self.0.pack(codes, keys),
            _ => self.0.pack(codes, keys.as_chunks_mut::<2>().0),
        })
        .map_err(to_python)?;
        Ok(out)
    }

    /// Unpack SIDs into rows of digits.
    #[pyo3(signature = (packed, out=None))]
    fn unpack<'py>(
        &self,
        packed: &Bound<'py, PyAny>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = packed.py();
        let keys = self.packed("packed", packed)?;
        let shape = [keys.shape()[0], self.0.levels()];
        let out = match out {
            Some(out) => check_shape("out", out, &shape)?,
            None => PyArray2::<u16>::zeros(py, shape, false).into_any(),
        };
        let mut codes = writable::<u16>("out", &out)?;
        let (keys, codes) = (keys.as_slice()?, codes.as_slice_mut()?);
        py.detach(|| match self.0.words() {
            1 => self.0.unpack(keys, codes),
            _ => self.0.unpack(keys.as_chunks::<2>().0, codes),
        })
        .map_err(to_python)?;
        Ok(out)
    }

    /// Give the first and the last packed SID, both inclusive, that begin with `digits`.
    fn prefix_range(&self, digits: &Bound<'_, PyAny>) -> PyResult<(u128, u128)> {
        let digits = self.digits(digits)?;
        let range = self.0.prefix_range(&digits).map_err(to_python)?;
        Ok(range.into_inner())
    }

    /// Cut packed SIDs down to their first `depth` digits; the digits below become 0.
    fn prefix<'py>(&self, packed: &Bound<'py, PyAny>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = packed.py();
        let keys = self.packed("packed", packed)?;
        let out = self.new_packed(py, keys.shape()[0]);
        let mut cut = writable::<u64>("out", &out)?;
        let (keys, cut) = (keys.as_slice()?, cut.as_slice_mut()?);
        py.detach(|| match self.0.words() {
            1 => self.0.prefix(keys, depth, cut),
            _ => self
                .0
                .prefix(keys.as_chunks::<2>().0, depth, cut.as_chunks_mut::<2>().0),
        })
        .map_err(to_python)?;
        Ok(out)
    }

    /// Count the leading digits that `a` and `b` share, row by row.
    fn common_prefix_length<'py>(
        &self,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let py = a.py();
        let (a, b) = (self.packed("a", a)?, self.packed("b", b)?);
        let out = PyArray1::<u8>::zeros(py, a.shape()[0], false);
        let mut lengths = out.readwrite();
        let (a, b, lengths) = (a.as_slice()?, b.as_slice()?, lengths.as_slice_mut()?);
        py.detach(|| match self.0.words() {
            1 => self.0.common_prefix_length(a, b, lengths),
            _ => self
                .0
                .common_prefix_length(a.as_chunks::<2>().0, b.as_chunks::<2>().0, lengths),
        })
        .map_err(to_python)?;
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
    /// `value` as the digits of a prefix; what no 16-bit digit can hold is refused as out of its level's range.
    fn digits(&self, value: &Bound<'_, PyAny>) -> PyResult<Vec<u16>> {
        let mut digits = Vec::new();
        for (level, digit) in value.try_iter()?.enumerate() {
            let digit = digit?.extract::<i64>()?;
            let size = self.0.sizes().get(level).copied().unwrap_or(65536);
            let range = Error::DigitRange {
                row: 0,
                level,
                digit,
                size,
            };
            digits.push(u16::try_from(digit).map_err(|_| to_python(range))?);
        }
        Ok(digits)
    }

    /// `value` as a (n, levels) array of digits.
    fn codes<'py>(&self, what: &str, value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, u16>> {
        let array = readable::<u16>(what, value)?;
        match array.shape() {
            [_, levels] if *levels == self.0.levels() => Ok(array),
            shape => Err(PyValueError::new_err(format!(
                "`{what}` has shape {}, expected (n, {})",
                tuple(shape),
                self.0.levels()
            ))),
        }
    }

    /// `value` as an array of packed SIDs: (n,) in one word, (n, 2) in two.
    pub(crate) fn packed<'py>(
        &self,
        what: &str,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<PyReadonlyArrayDyn<'py, u64>> {
        let array = readable::<u64>(what, value)?;
        match (self.0.words(), array.shape()) {
            (1, [_]) | (2, [_, 2]) => Ok(array),
            (words, shape) => Err(PyValueError::new_err(format!(
                "`{what}` has shape {}, expected {} for SIDs of {} bits",
                tuple(shape),
                if words == 1 { "(n,)" } else { "(n, 2)" },
                self.0.total_bits()
            ))),
        }
    }

    fn new_packed<'py>(&self, py: Python<'py>, rows: usize) -> Bound<'py, PyAny> {
        match self.0.words() {
            1 => PyArray1::<u64>::zeros(py, rows, false).into_any(),
            _ => PyArray2::<u64>::zeros(py, [rows, 2], false).into_any(),
        }
    }

    fn packed_out<'py>(&self, out: Bound<'py, PyAny>, rows: usize) -> PyResult<Bound<'py, PyAny>> {
        match self.0.words() {
            1 => check_shape("out", out, &[rows]),
            _ => check_shape("out", out, &[rows, 2]),
        }
    }
}

fn typed<'a, 'py, T: Element>(
    what: &str,
    value: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyArrayDyn<T>>> {
    let py = value.py();
    let array = value.cast::<PyUntypedArray>().map_err(|_| {
        PyTypeError::new_err(format!(
            "`{what}` is a {}, expected a NumPy array of {}",
            value.get_type(),
            dtype::<T>(py)
        ))
    })?;
    if !array.dtype().is_equiv_to(&dtype::<T>(py)) {
        let got = array.dtype();
        return Err(PyTypeError::new_err(format!(
            "`{what}` has dtype {got}, expected {}",
            dtype::<T>(py)
        )));
    }
    if !array.is_c_contiguous() {
        return Err(PyValueError::new_err(format!(
            "`{what}` is not C-contiguous; pass numpy.ascontiguousarray({what})"
        )));
    }
    Ok(value.cast::<PyArrayDyn<T>>()?)
}

fn readable<'py, T: Element>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    Ok(typed::<T>(what, value)?.try_readonly()?)
}

fn writable<'py, T: Element>(what: &str, value: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let borrowed = typed::<T>(what, value)?.try_readwrite();
    borrowed.map_err(|error| {
        PyValueError::new_err(match error {
            BorrowError::NotWriteable => format!("`{what}` is read-only; pass a writeable array"),
            _ => format!("`{what}` shares its memory with another argument; pass an array of its own"),
        })
    })
}

fn check_shape<'py>(what: &str, value: Bound<'py, PyAny>, expected: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    match value.cast::<PyUntypedArray>() {
        Ok(array) if array.shape() != expected => Err(PyValueError::new_err(format!(
            "`{what}` has shape {}, expected {}",
            tuple(array.shape()),
            tuple(expected)
        ))),
        // What is no array at all is named when its dtype is checked.
        _ => Ok(value),
    }
}

/// A shape as Python writes it.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!(
            "({})",
            shape
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}
