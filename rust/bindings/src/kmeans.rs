//! `kmeans_fit` for Python.

use numpy::{Ix2, PyArray1, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sidkit_core::kmeans::{Init, Options, fit};

use crate::arrays;
use crate::error::to_python;

/// Centroids, the centroid of every row, and the objective.
type Clusters<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<u16>>, f64);

/// Clusters the rows of `x` around `codes` centroids.
#[pyfunction]
#[pyo3(signature = (x, codes, *, iterations=25, init="k-means||", seed=0, batch=None, capacity=None, threads=None))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub(crate) fn kmeans_fit<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    codes: usize,
    iterations: usize,
    init: &str,
    seed: u64,
    batch: Option<usize>,
    capacity: Option<usize>,
    threads: Option<usize>,
) -> PyResult<Clusters<'py>> {
    let rows = arrays::read::<f32, Ix2>(x, "x", "(n, dim)")?;
    let dim = rows.shape()[1];
    let threads = arrays::threads(threads)?;
    arrays::affordable::<f32>("batch", batch.unwrap_or(0), dim)?;
    let init = init_of(init)?;
    let options = Options {
        codes,
        iterations,
        init,
        seed,
        batch,
        capacity,
        threads,
    };
    let rows = rows.as_slice()?;
    let clusters = py.detach(|| fit(rows, dim, &options)).map_err(to_python)?;
    let centroids = PyArray1::from_vec(py, clusters.centroids).reshape([codes, dim])?;
    Ok((
        centroids,
        PyArray1::from_vec(py, clusters.assignment),
        clusters.objective,
    ))
}

fn init_of(name: &str) -> PyResult<Init> {
    match name {
        "random" => Ok(Init::Random),
        "k-means++" => Ok(Init::PlusPlus),
        "k-means||" => Ok(Init::Parallel),
        _ => Err(PyValueError::new_err(format!(
            "`init` is {name:?}, but must be \"random\", \"k-means++\" or \"k-means||\""
        ))),
    }
}
