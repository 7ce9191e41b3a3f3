//! `kmeans_fit` for Python.

use numpy::{Ix2, PyArray1, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sidkit_core::kmeans::{Init, Options, fit};

use crate::arrays;
use crate::count::{self, Count};
use crate::error::config_error;
use crate::guard;

/// Centroids, the centroid of every row, and the objective.
type Clusters<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u16>>, f64);

/// Cluster the rows of `x` around `codebook_size` centroids.
#[pyfunction]
#[pyo3(signature = (x, codebook_size, *, iterations=25, init=None, seed=0, batch_size=None, capacity=None, threads=None))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub(crate) fn kmeans_fit<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    codebook_size: Count,
    #[pyo3(from_py_with = count::iterations)] iterations: usize,
    init: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = count::seed)] seed: u64,
    batch_size: Option<Count>,
    capacity: Option<Count>,
    threads: Option<Count>,
) -> PyResult<Clusters<'py>> {
    let rows = arrays::read::<f32, Ix2>(x, "x", "(n, dim)")?;
    let dim = rows.shape()[1];
    let (codes, threads) = (codebook_size.get("codebook_size")?, Count::threads(threads)?);
    let batch = batch_size.map(|batch| batch.get("batch_size")).transpose()?;
    let capacity = capacity.map(|capacity| capacity.get("capacity")).transpose()?;
    arrays::affordable::<f32>("batch_size", batch.unwrap_or(0), dim)?;
    let init = init.map_or(Ok(Init::Parallel), |init| init_of(init, codes, dim))?;
    let options = Options {
        codebook_size: codes,
        iterations,
        init,
        seed,
        batch_size: batch,
        capacity,
        threads,
    };
    let rows = rows.as_slice()?;
    let clusters = guard::detached(py, || fit(rows, dim, &options))?;
    let centroids = PyArray1::from_vec(py, clusters.centroids).reshape([codes, dim])?;
    Ok((
        centroids,
        PyArray1::from_vec(py, clusters.assignment),
        clusters.objective,
    ))
}

fn init_of(value: &Bound<'_, PyAny>, codes: usize, dim: usize) -> PyResult<Init> {
    let Ok(name) = value.extract::<String>() else {
        let given = arrays::read::<f32, Ix2>(value, "init", "(codebook_size, dim), or a name")?;
        arrays::check_axis("init", 0, given.shape()[0], codes)?;
        arrays::check_axis("init", 1, given.shape()[1], dim)?;
        return Ok(Init::Given(given.as_slice()?.to_vec()));
    };
    match name.as_str() {
        "random" => Ok(Init::Random),
        "k-means++" => Ok(Init::PlusPlus),
        "k-means||" => Ok(Init::Parallel),
        "bisect" => Ok(Init::Bisect),
        _ => Err(config_error(format!(
            "`init` is unknown: expected \"random\", \"k-means++\", \"k-means||\", \"bisect\" or centroids, got {name:?}"
        ))),
    }
}
