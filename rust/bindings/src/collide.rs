//! Items with equal codes: ranks within a code, and free codes for the surplus.

use numpy::{IntoPyArray, Ix1, Ix2, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use sidkit_core::collide::{self, Sinkhorn};

use crate::arrays;
use crate::error::{config_error, data_error};
use crate::guard;

/// Count the earlier rows that are equal to each packed code.
///
/// Args:
///     keys: uint64 (n, words), packed codes of one or two words, the high one first, as from `SidLayout.pack`.
///
/// Returns:
///     uint32 (n,).
///
/// Raises:
///     `TypeError`, `ValueError`: if `keys` is not such an array.
#[pyfunction]
pub(crate) fn code_ranks<'py>(
    py: Python<'py>,
    keys: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let keys = Keys::read(keys, "keys", "(n, words)")?;
    if u32::try_from(keys.rows()).is_err() {
        return Err(data_error(
            "`keys` has too many rows: expected fewer than 4294967296",
        ));
    }
    let (slice, words) = (keys.slice()?, keys.words());
    let ranks = guard::detached(py, || {
        Ok(match words {
            1 => collide::ranks(slice),
            _ => collide::ranks(slice.as_chunks::<2>().0),
        })
    })?;
    Ok(ranks.into_pyarray(py))
}

/// Move items to one of their preferred codes.
///
/// Args:
///     occupied: uint64 (s, words), packed codes of items that keep them.
///     preferred: uint64 (m * choices, words), packed codes for each of m items, best first.
///     choices: number of preferred codes per item.
///     capacity: maximum number of items per code, those of `occupied` included.
///     method: "first": round by round, in the order of the items; "nearest": a code keeps the items with the lowest
///         costs; "sinkhorn": by entropic transport, rounded.
///     costs: float64 (m * choices,), cost of each preferred code; for "nearest" and "sinkhorn".
///     epsilon: regularization of "sinkhorn".
///     iterations: number of iterations of "sinkhorn".
///
/// Returns:
///     uint32 (m,), place of the chosen code among the preferred ones, 4294967295 where all are full.
///
/// Raises:
///     `TypeError`, `ValueError`: if the arrays do not fit together, or there is no such method.
#[pyfunction]
#[pyo3(signature = (occupied, preferred, *, choices, capacity, method="first", costs=None, epsilon=0.1, iterations=50))]
#[expect(clippy::too_many_arguments, reason = "keywords of one Python function")]
pub(crate) fn place_codes<'py>(
    py: Python<'py>,
    occupied: &Bound<'py, PyAny>,
    preferred: &Bound<'py, PyAny>,
    choices: usize,
    capacity: u32,
    method: &str,
    costs: Option<&Bound<'py, PyAny>>,
    epsilon: f64,
    iterations: u32,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let occupied = Keys::read(occupied, "occupied", "(s, words)")?;
    let preferred = Keys::read(preferred, "preferred", "(m * choices, words)")?;
    arrays::check_axis("preferred", 1, preferred.words(), occupied.words())?;
    if choices == 0 || !preferred.rows().is_multiple_of(choices) {
        return Err(data_error(format!(
            "`preferred` has the wrong length: expected a multiple of choices={choices} rows, got {}",
            preferred.rows()
        )));
    }
    let costs: Option<PyReadonlyArray1<'py, f64>> = match (method, costs) {
        ("first", _) => None,
        ("nearest" | "sinkhorn", Some(costs)) => {
            let costs = arrays::read::<f64, Ix1>(costs, "costs", "(m * choices,)")?;
            arrays::check_axis("costs", 0, costs.len(), preferred.rows())?;
            if !costs.as_slice()?.iter().all(|cost| cost.is_finite()) {
                return Err(data_error(
                    "`costs` are invalid: expected finite numbers, got NaN or infinity",
                ));
            }
            Some(costs)
        }
        ("nearest" | "sinkhorn", None) => {
            return Err(config_error(format!(
                "`costs` are missing: expected an array for the method \"{method}\", got None"
            )));
        }
        _ => {
            return Err(config_error(format!(
                "`method` is unknown: expected \"first\", \"nearest\" or \"sinkhorn\", got \"{method}\""
            )));
        }
    };
    if !(epsilon.is_finite() && epsilon > 0.0) {
        return Err(config_error(format!(
            "`epsilon` is out of range: expected a number above 0, got {epsilon}"
        )));
    }
    let settings = Sinkhorn { epsilon, iterations };
    let costs = match &costs {
        Some(costs) => costs.as_slice()?,
        None => &[],
    };
    let (one, other, words) = (occupied.slice()?, preferred.slice()?, occupied.words());
    let placed = guard::detached(py, || {
        if words == 1 {
            return Ok(by_method(one, other, costs, choices, capacity, method, settings));
        }
        let (one, other) = (one.as_chunks::<2>().0, other.as_chunks::<2>().0);
        Ok(by_method(one, other, costs, choices, capacity, method, settings))
    })?;
    Ok(placed.into_pyarray(py))
}

fn by_method<K: Copy + Eq + std::hash::Hash>(
    occupied: &[K],
    preferred: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
    method: &str,
    settings: Sinkhorn,
) -> Vec<u32> {
    match method {
        "first" => collide::first(occupied, preferred, choices, capacity),
        "nearest" => collide::nearest(occupied, preferred, costs, choices, capacity),
        _ => collide::sinkhorn(occupied, preferred, costs, choices, capacity, settings),
    }
}

/// Packed codes of one word or two.
struct Keys<'py>(PyReadonlyArray2<'py, u64>);

impl<'py> Keys<'py> {
    fn read(value: &Bound<'py, PyAny>, name: &str, shape: &str) -> PyResult<Self> {
        let keys = arrays::read::<u64, Ix2>(value, name, shape)?;
        match keys.shape()[1] {
            1 | 2 => Ok(Self(keys)),
            words => Err(data_error(format!(
                "`{name}` has the wrong shape: expected one or two words per row, got {words}"
            ))),
        }
    }

    fn rows(&self) -> usize {
        self.0.shape()[0]
    }

    fn words(&self) -> usize {
        self.0.shape()[1]
    }

    fn slice(&self) -> PyResult<&[u64]> {
        Ok(self.0.as_slice()?)
    }
}
