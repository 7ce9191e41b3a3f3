//! Re-ranking of candidate lists for Python.

use numpy::{Ix2, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sidkit_core::rerank::{self, Candidates};

use crate::arrays;
use crate::count::Count;
use crate::guard;

/// Positions in the candidate lists, and the values of the chosen candidates.
type Chosen<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

/// Choose candidates by maximal marginal relevance.
#[pyfunction]
#[pyo3(signature = (items, scores, vectors, k, *, diversity, keep=None, threads=None))]
pub(crate) fn mmr_select<'py>(
    items: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    k: Count,
    diversity: f64,
    keep: Option<Count>,
    threads: Option<Count>,
) -> PyResult<Chosen<'py>> {
    let keep = keep.map_or(Ok(0), |keep| keep.get("keep"))?;
    Lists::read(items, scores, vectors)?.choose(k, threads, |candidates, k, positions, values, threads| {
        rerank::mmr(candidates, diversity, keep, k, positions, values, threads)
    })
}

/// Choose candidates by greedy max-sum diversification.
#[pyfunction]
#[pyo3(signature = (items, scores, vectors, k, *, diversity, threads=None))]
pub(crate) fn max_sum_select<'py>(
    items: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    k: Count,
    diversity: f64,
    threads: Option<Count>,
) -> PyResult<Chosen<'py>> {
    Lists::read(items, scores, vectors)?.choose(k, threads, |candidates, k, positions, values, threads| {
        rerank::max_sum(candidates, diversity, k, positions, values, threads)
    })
}

/// Choose candidates by greedy inference of a determinantal point process.
#[pyfunction]
#[pyo3(signature = (items, scores, vectors, k, *, diversity, keep=None, threads=None))]
pub(crate) fn dpp_select<'py>(
    items: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    k: Count,
    diversity: f64,
    keep: Option<Count>,
    threads: Option<Count>,
) -> PyResult<Chosen<'py>> {
    let keep = keep.map_or(Ok(0), |keep| keep.get("keep"))?;
    Lists::read(items, scores, vectors)?.choose(k, threads, |candidates, k, positions, values, threads| {
        rerank::dpp(candidates, diversity, keep, k, positions, values, threads)
    })
}

/// Choose the first candidates that are not similar to an earlier one.
#[pyfunction]
#[pyo3(signature = (items, scores, vectors, k, *, threshold, threads=None))]
pub(crate) fn distinct_select<'py>(
    items: &Bound<'py, PyAny>,
    scores: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    k: Count,
    threshold: f64,
    threads: Option<Count>,
) -> PyResult<Chosen<'py>> {
    Lists::read(items, scores, vectors)?.choose(k, threads, |candidates, k, positions, values, threads| {
        rerank::distinct(candidates, threshold, k, positions, values, threads)
    })
}

/// The checked arrays of a call.
struct Lists<'py> {
    items: PyReadonlyArray2<'py, i32>,
    scores: PyReadonlyArray2<'py, f32>,
    vectors: PyReadonlyArray2<'py, f32>,
}

impl<'py> Lists<'py> {
    fn read(
        items: &Bound<'py, PyAny>,
        scores: &Bound<'py, PyAny>,
        vectors: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let items = arrays::read::<i32, Ix2>(items, "items", "(m, candidates)")?;
        let scores = arrays::read::<f32, Ix2>(scores, "scores", "(m, candidates)")?;
        for axis in 0..2 {
            arrays::check_axis("scores", axis, scores.shape()[axis], items.shape()[axis])?;
        }
        let vectors = arrays::read::<f32, Ix2>(vectors, "vectors", "(items, d)")?;
        Ok(Self {
            items,
            scores,
            vectors,
        })
    }

    /// Applies a rule of the core: candidates, k, room for positions and values, threads.
    fn choose(
        &self,
        k: Count,
        threads: Option<Count>,
        rule: impl FnOnce(&Candidates<'_>, usize, &mut [i32], &mut [f32], usize) -> sidkit_core::Result<()> + Send,
    ) -> PyResult<Chosen<'py>> {
        let (k, threads) = (k.get("k")?, Count::threads(threads)?);
        let py = self.items.py();
        let [lists, width] = [self.items.shape()[0], self.items.shape()[1]];
        arrays::affordable::<u64>("k", lists, k)?;
        let (items, scores) = (self.items.as_slice()?, self.scores.as_slice()?);
        let vectors = self.vectors.as_slice()?;
        let positions = arrays::zeros(py, [lists, k])?;
        let values = arrays::zeros(py, [lists, k])?;
        let (mut places, mut numbers) = (positions.readwrite(), values.readwrite());
        let (places, numbers) = (places.as_slice_mut()?, numbers.as_slice_mut()?);
        let dim = self.vectors.shape()[1];
        guard::detached(py, || {
            let candidates = Candidates::new(vectors, dim, items, scores, width)?;
            rule(&candidates, k, places, numbers, threads)
        })?;
        Ok((positions, values))
    }
}
