//! `KMeansShard` for Python, and the choice of the first centroids from a sample.

use numpy::{
    IntoPyArray, Ix1, Ix2, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use sidkit_core::kmeans::{self, Init, Options, Shard};

use crate::arrays;
use crate::count::{self, Count};
use crate::error::{config_error, data_error, to_python};
use crate::guard;

/// Nodes (level, number), and the sums under each.
type Sums<'py> = (Bound<'py, PyArray2<i64>>, Bound<'py, PyArray3<f64>>);

/// Distances, rows and centroids.
type Far<'py> = (
    Bound<'py, PyArray1<f64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<u16>>,
);

/// Consecutive rows of a k-means whose rows lie in several processes.
#[pyclass(module = "sidkit._core")]
pub(crate) struct KMeansShard {
    x: Py<PyArray2<f32>>,
    shard: Shard,
    codebook_size: usize,
    threads: usize,
}

#[pymethods]
impl KMeansShard {
    #[new]
    #[pyo3(signature = (x, codebook_size, *, first=0, threads=None))]
    fn new(
        x: &Bound<'_, PyAny>,
        codebook_size: Count,
        #[pyo3(from_py_with = count::seed)] first: u64,
        threads: Option<Count>,
    ) -> PyResult<Self> {
        let (rows, dim) = {
            let array = arrays::read::<f32, Ix2>(x, "x", "(n, dim)")?;
            (array.shape()[0], array.shape()[1])
        };
        let codebook_size = codebook_size.get("codebook_size")?;
        Ok(Self {
            x: x.cast::<PyArray2<f32>>()?.clone().unbind(),
            shard: Shard::new(rows, dim, codebook_size, first).map_err(to_python)?,
            codebook_size,
            threads: Count::threads(threads)?,
        })
    }

    fn assign(&mut self, py: Python<'_>, centroids: &Bound<'_, PyAny>) -> PyResult<bool> {
        let centroids = arrays::read::<f32, Ix2>(centroids, "centroids", "(codebook_size, dim)")?;
        let x = rows(py, &self.x)?;
        let (x, centroids) = (x.as_slice()?, centroids.as_slice()?);
        let (shard, threads) = (&mut self.shard, self.threads);
        guard::detached(py, || shard.assign(x, centroids, threads))
    }

    #[getter]
    fn assignment<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u16>> {
        PyArray1::from_slice(py, self.shard.assignment())
    }

    fn counts<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u64>> {
        self.shard.counts().into_pyarray(py)
    }

    fn sums<'py>(&self, py: Python<'py>) -> PyResult<Sums<'py>> {
        let x = rows(py, &self.x)?;
        let dim = x.shape()[1];
        let x = x.as_slice()?;
        let sums = guard::detached(py, || self.shard.sums(x, self.threads))?;
        let nodes: Vec<i64> = sums
            .iter()
            .flat_map(|((level, number), _)| [i64::from(*level), *number as i64])
            .collect();
        let count = sums.len();
        let sums: Vec<f64> = sums.into_iter().flat_map(|(_, sums)| sums).collect();
        Ok((
            nodes.into_pyarray(py).reshape([count, 2])?,
            sums.into_pyarray(py).reshape([count, self.codebook_size, dim])?,
        ))
    }

    fn farthest<'py>(&self, py: Python<'py>, most: Count) -> PyResult<Far<'py>> {
        let most = most.get("most")?;
        let x = rows(py, &self.x)?;
        let x = x.as_slice()?;
        let found = guard::detached(py, || self.shard.farthest(x, most, self.threads))?;
        let distances: Vec<f64> = found.iter().map(|far| far.distance).collect();
        let rows: Vec<i64> = found.iter().map(|far| far.row as i64).collect();
        let codes: Vec<u16> = found.iter().map(|far| far.code).collect();
        Ok((
            distances.into_pyarray(py),
            rows.into_pyarray(py),
            codes.into_pyarray(py),
        ))
    }

    fn restart(&mut self, #[pyo3(from_py_with = count::seed)] row: u64, code: u16) -> PyResult<()> {
        self.shard.restart(row, code).map_err(to_python)
    }

    fn objective(&self, py: Python<'_>) -> PyResult<f64> {
        let x = rows(py, &self.x)?;
        let x = x.as_slice()?;
        guard::detached(py, || self.shard.objective(x, self.threads))
    }

    fn start_parallel(&mut self, py: Python<'_>, candidate: &Bound<'_, PyAny>) -> PyResult<f64> {
        let candidate = arrays::read::<f32, Ix1>(candidate, "candidate", "(dim,)")?;
        let x = rows(py, &self.x)?;
        let (x, candidate) = (x.as_slice()?, candidate.as_slice()?);
        let shard = &mut self.shard;
        guard::detached(py, || shard.start_parallel(x, candidate))
    }

    fn draw_parallel<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = count::seed)] round: u64,
        #[pyo3(from_py_with = count::seed)] seed: u64,
        total: f64,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let drawn = guard::detached(py, || self.shard.draw_parallel(round, seed, total))?;
        let drawn: Vec<i64> = drawn.into_iter().map(|row| row as i64).collect();
        Ok(drawn.into_pyarray(py))
    }

    fn add_parallel(
        &mut self,
        py: Python<'_>,
        candidates: &Bound<'_, PyAny>,
        before: Count,
    ) -> PyResult<f64> {
        let before = before.get("before")?;
        let candidates = arrays::read::<f32, Ix2>(candidates, "candidates", "(m, dim)")?;
        let x = rows(py, &self.x)?;
        let (x, candidates) = (x.as_slice()?, candidates.as_slice()?);
        let (shard, threads) = (&mut self.shard, self.threads);
        guard::detached(py, || shard.add_parallel(x, candidates, before, threads))
    }

    fn weights_parallel<'py>(
        &mut self,
        py: Python<'py>,
        candidates: Count,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let weights = self.shard.weights_parallel(candidates.get("candidates")?);
        Ok(weights.map_err(to_python)?.into_pyarray(py))
    }
}

/// Choose the rows from which the first centroids are made.
#[pyfunction]
#[pyo3(signature = (count, codebook_size, *, init="bisect", seed=0))]
pub(crate) fn kmeans_sample<'py>(
    py: Python<'py>,
    count: Count,
    codebook_size: Count,
    init: &str,
    #[pyo3(from_py_with = count::seed)] seed: u64,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let (count, size) = (count.get("count")?, codebook_size.get("codebook_size")?);
    let init = init_of(init)?;
    if count < size {
        return Err(data_error(format!(
            "`count` is too small: expected at least {size}, one row per centroid, got {count}"
        )));
    }
    let places = guard::detached(py, || Ok(kmeans::sample(count, &init, size, seed)))?;
    Ok(as_i64(py, places))
}

/// Make the first centroids from the rows of `kmeans_sample`.
#[pyfunction]
#[pyo3(signature = (sample, count, codebook_size, *, init="bisect", seed=0, threads=None))]
pub(crate) fn kmeans_start<'py>(
    sample: &Bound<'py, PyAny>,
    count: Count,
    codebook_size: Count,
    init: &str,
    #[pyo3(from_py_with = count::seed)] seed: u64,
    threads: Option<Count>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let py = sample.py();
    let sample = arrays::read::<f32, Ix2>(sample, "sample", "(m, dim)")?;
    let dim = sample.shape()[1];
    let options = options(codebook_size, init_of(init)?, seed, threads)?;
    let count = count.get("count")?;
    let rows = sample.as_slice()?;
    let centroids = guard::detached(py, || kmeans::start(rows, dim, count, &options))?;
    PyArray1::from_vec(py, centroids).reshape([options.codebook_size, dim])
}

/// Draw rows for k-means||: the first candidate, and those that fill up too few.
#[pyfunction]
pub(crate) fn kmeans_places(
    py: Python<'_>,
    count: Count,
    #[pyo3(from_py_with = count::seed)] seed: u64,
    many: Count,
) -> PyResult<Bound<'_, PyArray1<i64>>> {
    let (count, many) = (count.get("count")?, many.get("many")?);
    let places = guard::detached(py, || Ok(kmeans::places_parallel(count, seed, many)))?;
    Ok(as_i64(py, places))
}

/// Choose centroids among the candidates of k-means||.
#[pyfunction]
#[pyo3(signature = (candidates, weights, codebook_size, *, drawn, seed=0, threads=None))]
pub(crate) fn kmeans_choose<'py>(
    candidates: &Bound<'py, PyAny>,
    weights: &Bound<'py, PyAny>,
    codebook_size: Count,
    drawn: Count,
    #[pyo3(from_py_with = count::seed)] seed: u64,
    threads: Option<Count>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let py = candidates.py();
    let candidates = arrays::read::<f32, Ix2>(candidates, "candidates", "(m, dim)")?;
    let weights = arrays::read::<f64, Ix1>(weights, "weights", "(m,)")?;
    let dim = candidates.shape()[1];
    let options = options(codebook_size, Init::Parallel, seed, threads)?;
    let drawn = drawn.get("drawn")?;
    let (rows, weights) = (candidates.as_slice()?, weights.as_slice()?);
    let centroids = guard::detached(py, || {
        kmeans::choose_parallel(rows, dim, weights, drawn, &options)
    })?;
    PyArray1::from_vec(py, centroids).reshape([options.codebook_size, dim])
}

fn rows<'py>(py: Python<'py>, x: &Py<PyArray2<f32>>) -> PyResult<PyReadonlyArray2<'py, f32>> {
    arrays::read::<f32, Ix2>(x.bind(py).as_any(), "x", "(n, dim)")
}

fn as_i64(py: Python<'_>, places: Vec<usize>) -> Bound<'_, PyArray1<i64>> {
    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
    places.into_pyarray(py)
}

fn options(codebook_size: Count, init: Init, seed: u64, threads: Option<Count>) -> PyResult<Options> {
    Ok(Options {
        codebook_size: codebook_size.get("codebook_size")?,
        iterations: 0,
        init,
        seed,
        batch_size: None,
        capacity: None,
        threads: Count::threads(threads)?,
    })
}

fn init_of(name: &str) -> PyResult<Init> {
    match name {
        "random" => Ok(Init::Random),
        "k-means++" => Ok(Init::PlusPlus),
        "bisect" => Ok(Init::Bisect),
        _ => Err(config_error(format!(
            "`init` is unknown: expected \"random\", \"k-means++\" or \"bisect\", got {name:?}"
        ))),
    }
}
