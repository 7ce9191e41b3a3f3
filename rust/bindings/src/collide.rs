//! Items with equal codes: ranks under a code, and places for the surplus.

use numpy::{IntoPyArray, Ix1, Ix2, PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sidkit_core::collide::{self, Sinkhorn};

use crate::arrays;

/// For each packed code, how many earlier rows are equal to it.
///
/// Args:
///     keys: uint64 (n, words): rows of one word or two, the high one first, as `SidLayout.pack` gives them.
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
        return Err(PyValueError::new_err(
            "`keys` must have fewer than 4294967296 rows",
        ));
    }
    let (slice, words) = (keys.slice()?, keys.words());
    let ranks = py.detach(|| match words {
        1 => collide::ranks(slice),
        _ => collide::ranks(slice.as_chunks::<2>().0),
    });
    Ok(ranks.into_pyarray(py))
}

/// Give items without a place one of the codes they wish for.
///
/// Args:
///     settled: uint64 (s, words), packed codes of the items that stay.
///     wishes: uint64 (m * choices, words), packed codes that m items wish for, best first.
///     choices: wishes of each item.
///     capacity: items that have room under one code, the settled among them.
///     method: "first": round by round, whoever asks first in the order of the items; "nearest": a code keeps those to
///         whom it costs the least; "sinkhorn": by entropic transport, rounded.
///     costs: float64 (m * choices,), what each wish costs; for "nearest" and "sinkhorn".
///     epsilon: of "sinkhorn", see `sidkit.ids.reassign`.
///     iterations: of "sinkhorn".
///
/// Returns:
///     uint32 (m,), the number of the wish that was granted, 4294967295 where none was.
///
/// Raises:
///     `TypeError`, `ValueError`: if the arrays do not fit one another, or there is no such method.
#[pyfunction]
#[pyo3(signature = (settled, wishes, *, choices, capacity, method="first", costs=None, epsilon=0.1, iterations=50))]
#[expect(clippy::too_many_arguments, reason = "keywords of one Python function")]
pub(crate) fn place_codes<'py>(
    py: Python<'py>,
    settled: &Bound<'py, PyAny>,
    wishes: &Bound<'py, PyAny>,
    choices: usize,
    capacity: u32,
    method: &str,
    costs: Option<&Bound<'py, PyAny>>,
    epsilon: f64,
    iterations: u32,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    let settled = Keys::read(settled, "settled", "(s, words)")?;
    let wishes = Keys::read(wishes, "wishes", "(m * choices, words)")?;
    arrays::check_axis("wishes", 1, wishes.words(), settled.words())?;
    if choices == 0 || !wishes.rows().is_multiple_of(choices) {
        return Err(PyValueError::new_err(format!(
            "`wishes` has {} rows, which is not a whole number of items with choices={choices}",
            wishes.rows()
        )));
    }
    let costs: Option<PyReadonlyArray1<'py, f64>> = match (method, costs) {
        ("first", _) => None,
        ("nearest" | "sinkhorn", Some(costs)) => {
            let costs = arrays::read::<f64, Ix1>(costs, "costs", "(m * choices,)")?;
            arrays::check_axis("costs", 0, costs.len(), wishes.rows())?;
            if !costs.as_slice()?.iter().all(|cost| cost.is_finite()) {
                return Err(PyValueError::new_err("`costs` must be finite"));
            }
            Some(costs)
        }
        ("nearest" | "sinkhorn", None) => {
            return Err(PyValueError::new_err(format!(
                "`method=\"{method}\"` needs `costs`"
            )));
        }
        _ => {
            return Err(PyValueError::new_err(format!(
                "`method` must be \"first\", \"nearest\" or \"sinkhorn\", not \"{method}\""
            )));
        }
    };
    if !(epsilon.is_finite() && epsilon > 0.0) {
        return Err(PyValueError::new_err(format!(
            "`epsilon` must be above 0, not {epsilon}"
        )));
    }
    let settings = Sinkhorn { epsilon, iterations };
    let costs = match &costs {
        Some(costs) => costs.as_slice()?,
        None => &[],
    };
    let (one, other, words) = (settled.slice()?, wishes.slice()?, settled.words());
    let placed = py.detach(|| {
        if words == 1 {
            return by_method(one, other, costs, choices, capacity, method, settings);
        }
        let (one, other) = (one.as_chunks::<2>().0, other.as_chunks::<2>().0);
        by_method(one, other, costs, choices, capacity, method, settings)
    });
    Ok(placed.into_pyarray(py))
}

fn by_method<K: Copy + Eq + std::hash::Hash>(
    settled: &[K],
    wishes: &[K],
    costs: &[f64],
    choices: usize,
    capacity: u32,
    method: &str,
    settings: Sinkhorn,
) -> Vec<u32> {
    match method {
        "first" => collide::first(settled, wishes, choices, capacity),
        "nearest" => collide::nearest(settled, wishes, costs, choices, capacity),
        _ => collide::sinkhorn(settled, wishes, costs, choices, capacity, settings),
    }
}

/// Packed codes of one word or two.
struct Keys<'py>(PyReadonlyArray2<'py, u64>);

impl<'py> Keys<'py> {
    fn read(value: &Bound<'py, PyAny>, name: &str, shape: &str) -> PyResult<Self> {
        let keys = arrays::read::<u64, Ix2>(value, name, shape)?;
        match keys.shape()[1] {
            1 | 2 => Ok(Self(keys)),
            words => Err(PyValueError::new_err(format!(
                "`{name}` must have one word a row or two, not {words}"
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
