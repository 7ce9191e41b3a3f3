//! `InferenceModel`: recommendations of a trained model, from its inference file.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;
use std::sync::Mutex;

use numpy::{
    Element, IntoPyArray, Ix1, Ix2, PyArray1, PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArray1,
    PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use sidkit_core::infer::{self, ItemId, Ragged, Requests, Scoring, Stored, Tensor};

use crate::error::config_error;
use crate::{arrays, count, guard};

/// Items int32 and scores float32, both (requests, k).
type Ranked<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

/// A trained model in an inference file, mapped into memory; shared freely between threads.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct InferenceModel(infer::Model);

/// The history of a user and its encoding so far.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct InferenceState(Mutex<infer::State>);

#[pymethods]
impl InferenceModel {
    #[staticmethod]
    #[pyo3(signature = (path, *, trusted=false))]
    fn open(py: Python<'_>, path: PathBuf, trusted: bool) -> PyResult<Self> {
        guard::detached(py, || infer::Model::open(&path, trusted)).map(Self)
    }

    #[getter]
    fn method(&self) -> &str {
        self.0.method()
    }

    #[getter]
    fn scorings(&self) -> Vec<&'static str> {
        self.0.scorings().iter().map(|scoring| scoring.name()).collect()
    }

    #[getter]
    fn max_items(&self) -> usize {
        self.0.max_items()
    }

    #[getter]
    fn items(&self) -> usize {
        self.0.items()
    }

    #[getter]
    fn version(&self) -> u64 {
        self.0.version()
    }

    #[getter]
    fn has_int_ids(&self) -> bool {
        self.0.has_int_ids()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn find_ints<'py>(
        &self,
        py: Python<'py>,
        ids: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let ids = arrays::read::<i64, Ix1>(ids, "ids", "(n,)")?;
        let found = self.0.find_ints(ids.as_slice()?.iter().copied());
        Ok(found.into_pyarray(py))
    }

    fn find_texts<'py>(&self, py: Python<'py>, ids: Vec<String>) -> Bound<'py, PyArray1<i64>> {
        self.0.find_texts(ids.iter().map(String::as_str)).into_pyarray(py)
    }

    fn ids<'py>(&self, py: Python<'py>, items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let items = arrays::read::<i32, Ix1>(items, "items", "(n,)")?;
        let ids = self.0.ids(items.as_slice()?);
        if self.0.has_int_ids() {
            let int = |id| match id {
                Some(ItemId::Int(id)) => id,
                _ => -1,
            };
            return Ok(ids
                .into_iter()
                .map(int)
                .collect::<Vec<i64>>()
                .into_pyarray(py)
                .into_any());
        }
        let text = |id| match id {
            Some(ItemId::Text(id)) => Some(id),
            _ => None,
        };
        Ok(PyList::new(py, ids.into_iter().map(text))?.into_any())
    }

    fn counts<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        self.0.counts().into_pyarray(py)
    }

    fn live<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<bool>> {
        self.0.live().into_pyarray(py)
    }

    fn vectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        arrays::affordable::<f32>("vectors", self.0.items(), self.0.dim())?;
        let vectors = guard::detached(py, || Ok(self.0.vectors()))?;
        let rows = vectors.len() / self.0.dim();
        vectors.into_pyarray(py).reshape([rows, self.0.dim()])
    }

    fn tokens(&self, item: u32) -> Option<Vec<u16>> {
        self.0.tokens(item)
    }

    #[pyo3(signature = (histories, *, k, scoring=None, beam=50, exclude_seen=true, exclude=None, exclude_each=None, allow=None, threads=0))]
    #[expect(clippy::too_many_arguments, reason = "arguments of a Python function")]
    fn recommend<'py>(
        &self,
        py: Python<'py>,
        histories: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = count::k)] k: usize,
        scoring: Option<&str>,
        #[pyo3(from_py_with = count::beam)] beam: usize,
        exclude_seen: bool,
        exclude: Option<&Bound<'py, PyAny>>,
        exclude_each: Option<&Bound<'py, PyAny>>,
        allow: Option<&Bound<'py, PyAny>>,
        threads: usize,
    ) -> PyResult<Ranked<'py>> {
        let histories = Rows::new(histories, "histories")?;
        let exclude_each = exclude_each.map(|rows| Rows::new(rows, "exclude")).transpose()?;
        let allow = allow.map(|rows| Rows::new(rows, "allow")).transpose()?;
        let exclude = exclude
            .map(|items| arrays::read::<u32, Ix1>(items, "exclude", "(n,)"))
            .transpose()?;
        let requests = Requests {
            k,
            scoring: self.scoring(scoring)?,
            beam,
            exclude_seen,
            exclude: exclude.as_ref().map_or(Ok(&[][..]), |items| items.as_slice())?,
            exclude_each: exclude_each.as_ref().map(Rows::ragged).transpose()?,
            allow: allow.as_ref().map(Rows::ragged).transpose()?,
            histories: histories.ragged()?,
        };
        let rows = requests.histories.len();
        ranked(py, rows, k, |items, scores| {
            self.0.recommend(&requests, threads, items, scores)
        })
    }

    #[pyo3(signature = (items, *, k, threads=0))]
    fn similar<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = count::k)] k: usize,
        threads: usize,
    ) -> PyResult<Ranked<'py>> {
        let of = arrays::read::<u32, Ix1>(items, "items", "(n,)")?;
        let of = of.as_slice()?;
        ranked(py, of.len(), k, |items, scores| {
            self.0.similar(of, k, threads, items, scores)
        })
    }

    #[getter]
    fn content_dim(&self) -> Option<usize> {
        self.0.content_dim()
    }

    fn add_items(
        &self,
        py: Python<'_>,
        ids: &Bound<'_, PyList>,
        content: &Bound<'_, PyAny>,
        tokens: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let content = arrays::read::<f32, Ix2>(content, "item_vectors", "(items, d)")?;
        let tokens = arrays::read::<u16, Ix2>(tokens, "tokens", "(items, levels)")?;
        let id = |id: Bound<'_, PyAny>| match id.extract::<i64>() {
            Ok(id) => Ok(ItemId::Int(id)),
            Err(_) => id.extract::<String>().map(ItemId::Text),
        };
        let ids = ids.iter().map(id).collect::<PyResult<Vec<_>>>()?;
        let new = infer::NewItems {
            ids: &ids,
            content: content.as_slice()?,
            tokens: tokens.as_slice()?,
        };
        guard::detached(py, || self.0.add_items(&new))
    }

    fn remove_items(&self, py: Python<'_>, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let items = arrays::read::<u32, Ix1>(items, "items", "(n,)")?;
        let items = items.as_slice()?;
        guard::detached(py, || self.0.remove_items(items))
    }

    fn start(&self, py: Python<'_>, history: &Bound<'_, PyAny>) -> PyResult<InferenceState> {
        let history = arrays::read::<u32, Ix1>(history, "history", "(n,)")?;
        let history = history.as_slice()?;
        let state = guard::detached(py, || self.0.start(history))?;
        Ok(InferenceState(Mutex::new(state)))
    }

    fn append(&self, py: Python<'_>, state: &InferenceState, items: &Bound<'_, PyAny>) -> PyResult<()> {
        let items = arrays::read::<u32, Ix1>(items, "items", "(n,)")?;
        let items = items.as_slice()?;
        guard::detached(py, || self.0.append(&mut state.lock(), items))
    }

    #[pyo3(signature = (state, *, k, scoring=None, beam=50, exclude_seen=true, exclude=None, allow=None))]
    #[expect(clippy::too_many_arguments, reason = "arguments of a Python function")]
    fn recommend_next<'py>(
        &self,
        py: Python<'py>,
        state: &InferenceState,
        #[pyo3(from_py_with = count::k)] k: usize,
        scoring: Option<&str>,
        #[pyo3(from_py_with = count::beam)] beam: usize,
        exclude_seen: bool,
        exclude: Option<&Bound<'py, PyAny>>,
        allow: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Ranked<'py>> {
        let exclude = exclude
            .map(|items| arrays::read::<u32, Ix1>(items, "exclude", "(n,)"))
            .transpose()?;
        let allow = allow.map(|rows| Rows::new(rows, "allow")).transpose()?;
        let requests = Requests {
            k,
            scoring: self.scoring(scoring)?,
            beam,
            exclude_seen,
            exclude: exclude.as_ref().map_or(Ok(&[][..]), |items| items.as_slice())?,
            exclude_each: None,
            allow: allow.as_ref().map(Rows::ragged).transpose()?,
            histories: Ragged {
                values: &[],
                offsets: &[0, 0],
            },
        };
        ranked(py, 1, k, |items, scores| {
            self.0.recommend_next(&state.lock(), &requests, items, scores)
        })
    }

    fn __repr__(&self) -> String {
        format!("<InferenceModel `{}`, {} items>", self.0.method(), self.0.len())
    }
}

impl InferenceModel {
    fn scoring(&self, name: Option<&str>) -> PyResult<Scoring> {
        let Some(name) = name else {
            return Ok(self.0.scorings()[0]);
        };
        Scoring::from_name(name).ok_or_else(|| {
            config_error(format!(
                "`{}` has no scoring `{name}`: expected one of {}, got `{name}`",
                self.0.method(),
                self.scorings().join(", ")
            ))
        })
    }
}

impl InferenceState {
    fn lock(&self) -> std::sync::MutexGuard<'_, infer::State> {
        // A state is whole before and after each append.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl InferenceState {
    /// Items of the history, uint32 (n,).
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        PyArray1::from_slice(py, self.lock().items())
    }
}

/// Calls `work` with the places of `rows` lists.
fn ranked(
    py: Python<'_>,
    rows: usize,
    k: usize,
    work: impl FnOnce(&mut [i32], &mut [f32]) -> sidkit_core::Result<()> + Send,
) -> PyResult<Ranked<'_>> {
    arrays::affordable::<i64>("k", rows, k)?;
    let (items, scores) = (
        PyArray2::<i32>::zeros(py, [rows, k], false),
        PyArray2::<f32>::zeros(py, [rows, k], false),
    );
    let (mut to_items, mut to_scores) = (items.readwrite(), scores.readwrite());
    let (to_items, to_scores) = (to_items.as_slice_mut()?, to_scores.as_slice_mut()?);
    guard::detached(py, || work(to_items, to_scores))?;
    Ok((items, scores))
}

/// Rows of items: a pair of values uint32 and offsets int64.
struct Rows<'py> {
    values: PyReadonlyArray1<'py, u32>,
    offsets: Vec<usize>,
}

impl<'py> Rows<'py> {
    fn new(pair: &Bound<'py, PyAny>, name: &str) -> PyResult<Self> {
        let (values, offsets): (Bound<'py, PyAny>, Bound<'py, PyAny>) = pair.extract()?;
        let values = arrays::read::<u32, Ix1>(&values, name, "(n,)")?;
        let offsets = arrays::read::<i64, Ix1>(&offsets, &format!("offsets of {name}"), "(rows + 1,)")?;
        let offsets = offsets.as_slice()?.iter().map(|&at| usize::try_from(at));
        let offsets = offsets.collect::<Result<_, _>>().map_err(|_| {
            PyValueError::new_err(format!("the offsets of `{name}` are invalid: expected 0 or more"))
        })?;
        Ok(Self { values, offsets })
    }

    fn ragged(&self) -> PyResult<Ragged<'_>> {
        Ok(Ragged {
            values: self.values.as_slice()?,
            offsets: &self.offsets,
        })
    }
}

/// Writes an inference file: its configuration as JSON, and arrays of one or two dimensions.
#[pyfunction]
pub(crate) fn write_inference(
    py: Python<'_>,
    path: PathBuf,
    config: &str,
    arrays: &Bound<'_, PyDict>,
) -> PyResult<()> {
    let held = arrays
        .iter()
        .map(|(name, array)| Ok((name.extract::<String>()?, Held::new(&array)?)))
        .collect::<PyResult<Vec<_>>>()?;
    let tensors = held
        .iter()
        .map(|(name, held)| Ok((name.as_str(), held.tensor(name)?)))
        .collect::<PyResult<Vec<_>>>()?;
    guard::detached(py, || infer::write(&path, config, &tensors))
}

/// An array of a number type of inference files.
enum Held<'py> {
    U8(PyReadonlyArrayDyn<'py, u8>),
    U16(PyReadonlyArrayDyn<'py, u16>),
    U32(PyReadonlyArrayDyn<'py, u32>),
    U64(PyReadonlyArrayDyn<'py, u64>),
    I64(PyReadonlyArrayDyn<'py, i64>),
    F32(PyReadonlyArrayDyn<'py, f32>),
}

impl<'py> Held<'py> {
    fn new(array: &Bound<'py, PyAny>) -> PyResult<Self> {
        macro_rules! of {
            ($($variant:ident: $type:ty),*) => { $(
                if let Ok(array) = array.cast::<PyArrayDyn<$type>>() {
                    return Ok(Self::$variant(array.try_readonly()?));
                }
            )* };
        }
        of!(U8: u8, U16: u16, U32: u32, U64: u64, I64: i64, F32: f32);
        Err(PyTypeError::new_err(
            "an array has the wrong type: expected uint8, uint16, uint32, uint64, int64 or float32",
        ))
    }

    fn tensor(&self, name: &str) -> PyResult<Tensor<'_>> {
        match self {
            Self::U8(array) => tensor(array, name),
            Self::U16(array) => tensor(array, name),
            Self::U32(array) => tensor(array, name),
            Self::U64(array) => tensor(array, name),
            Self::I64(array) => tensor(array, name),
            Self::F32(array) => tensor(array, name),
        }
    }
}

fn tensor<'a, T: Element + Stored>(array: &'a PyReadonlyArrayDyn<'_, T>, name: &str) -> PyResult<Tensor<'a>> {
    let values = array
        .as_slice()
        .map_err(|_| PyValueError::new_err(format!("`{name}` is invalid: expected a C-contiguous array")))?;
    match *array.shape() {
        [_] => Ok(Tensor::flat(values)),
        [_, dim] => Ok(Tensor::rows(values, dim)),
        ref shape => Err(PyValueError::new_err(format!(
            "`{name}` is invalid: expected 1 or 2 dimensions, got shape {shape:?}"
        ))),
    }
}
