//! The questions of `Trie` about what is near: known prefixes, neighbours, random items under a prefix.

use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;
use sidkit_core::Trie;
use sidkit_core::trie::States;

use crate::arrays;
use crate::error::data_error;
use crate::guard;

/// Neighbours and how many tokens they share, a row an item.
pub(crate) type Near<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<u8>>);

const TOO_BIG: &str =
    "an item number is above 2147483647 and does not fit the int32 result; use `items` instead";

pub(crate) fn longest_prefix<'py>(
    py: Python<'py>,
    trie: &Trie,
    keys: &[u64],
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    let lengths = guard::on_trie(py, trie, || match trie.layout().words() {
        1 => trie.longest_prefix(keys),
        _ => trie.longest_prefix(keys.as_chunks::<2>().0),
    })?;
    Ok(lengths.into_pyarray(py))
}

pub(crate) fn neighbours<'py>(py: Python<'py>, trie: &Trie, items: &[i64], k: usize) -> PyResult<Near<'py>> {
    arrays::affordable::<[u64; 2]>("k", items.len(), k)?;
    let near = guard::on_trie(py, trie, || trie.neighbours(items, k))?;
    let shape = [items.len(), k];
    Ok((
        numbers(py, near.items, shape)?,
        near.shared.into_pyarray(py).reshape(shape)?,
    ))
}

pub(crate) fn sample<'py>(
    py: Python<'py>,
    trie: &Trie,
    states: &States,
    k: usize,
    seed: u64,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    arrays::affordable::<u64>("k", states.len(), k)?;
    let items = guard::on_trie(py, trie, || Ok(trie.sample(states, k, seed)))?;
    numbers(py, items, [states.len(), k])
}

/// Item numbers, or -1 for none, as a matrix of int32.
pub(crate) fn numbers(
    py: Python<'_>,
    items: Vec<i64>,
    shape: [usize; 2],
) -> PyResult<Bound<'_, PyArray2<i32>>> {
    let items = items
        .into_iter()
        .map(i32::try_from)
        .collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|_| data_error(TOO_BIG))?;
    items.into_pyarray(py).reshape(shape)
}
