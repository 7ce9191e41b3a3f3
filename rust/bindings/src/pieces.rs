//! `learn_pieces`, `shuffle_actions` and `segment_pieces` for Python.

use numpy::{Ix1, Ix2, PyArray1, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sidkit_core::pieces::{Merge, learn, segment, shuffle};

use crate::arrays;
use crate::count::Count;
use crate::guard;

/// Learns which tokens of histories to merge.
#[pyfunction]
pub(crate) fn learn_pieces<'py>(
    py: Python<'py>,
    actions: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    base: Count,
    merges: Count,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let actions = arrays::read::<u32, Ix2>(actions, "actions", "(n, features)")?;
    let width = actions.shape()[1];
    let offsets = arrays::read::<i64, Ix1>(offsets, "offsets", "(histories + 1,)")?;
    let (base, merges) = (base.get("base")?, merges.get("merges")?);
    let (actions, offsets) = (actions.as_slice()?, offsets.as_slice()?);
    let found = guard::detached(py, || learn(actions, width, offsets, base, merges))?;
    let rows = found.len();
    PyArray1::from_vec(py, found.into_flattened()).reshape([rows, 2])
}

/// Puts the tokens of each action in a random order.
#[pyfunction]
pub(crate) fn shuffle_actions<'py>(
    py: Python<'py>,
    actions: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    seeds: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let actions = arrays::read::<u32, Ix2>(actions, "actions", "(n, features)")?;
    let [rows, width] = [actions.shape()[0], actions.shape()[1]];
    let offsets = arrays::read::<i64, Ix1>(offsets, "offsets", "(histories + 1,)")?;
    let seeds = arrays::read::<u64, Ix1>(seeds, "seeds", "(histories,)")?;
    let (actions, offsets, seeds) = (actions.as_slice()?, offsets.as_slice()?, seeds.as_slice()?);
    let shuffled = guard::detached(py, || shuffle(actions, width, offsets, seeds))?;
    PyArray1::from_vec(py, shuffled).reshape([rows, width])
}

/// The pieces of all histories, and where each history's begin and end.
type Pieces<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<i64>>);

/// Merges learned pairs in the tokens of histories.
#[pyfunction]
pub(crate) fn segment_pieces<'py>(
    py: Python<'py>,
    tokens: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    merges: &Bound<'py, PyAny>,
    base: Count,
) -> PyResult<Pieces<'py>> {
    let tokens = arrays::read::<u32, Ix1>(tokens, "tokens", "(n,)")?;
    let offsets = arrays::read::<i64, Ix1>(offsets, "offsets", "(histories + 1,)")?;
    let merges = arrays::read::<u32, Ix2>(merges, "merges", "(merges, 2)")?;
    arrays::check_axis("merges", 1, merges.shape()[1], 2)?;
    let base = base.get("base")?;
    let (tokens, offsets) = (tokens.as_slice()?, offsets.as_slice()?);
    let pairs: Vec<Merge> = merges
        .as_slice()?
        .chunks_exact(2)
        .map(|pair| [pair[0], pair[1]])
        .collect();
    let (pieces, ends) = guard::detached(py, || segment(tokens, offsets, &pairs, base))?;
    Ok((PyArray1::from_vec(py, pieces), PyArray1::from_vec(py, ends)))
}
