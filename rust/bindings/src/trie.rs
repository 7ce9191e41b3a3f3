//! `Trie` and `TrieStates`: walking batches of prefixes from `NumPy` arrays.

#![expect(clippy::needless_pass_by_value, reason = "pyo3 hands arguments over by value")]

use std::path::PathBuf;
use std::sync::Arc;

use numpy::ndarray::{Ix1, Ix2};
use numpy::{
    Element, IntoPyArray, PyArray1, PyArray2, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use sidkit_core::trie::{BeamStep, Span, States, Storage};

use crate::arrays;
use crate::count::{self, Count};
use crate::error::{config_error, data_error, to_python, type_error};
use crate::guard;
use crate::item_set::{ItemSet, OwnedLimits};
use crate::nearby::{self, Near};
use crate::origin::{Origin, Pickled};
use crate::sid::{self, SidLayout};

/// For up to so many words of keys, `lookup` keeps the interpreter to itself: about as long as giving it up takes.
const FEW_KEYS: usize = 8;

/// The sorted distinct Semantic IDs of a catalogue and the items under each.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct Trie(
    pub(crate) Arc<sidkit_core::Trie>,
    pub(crate) Option<Origin>,
    /// The ids of the items, whatever object was given as such.
    pub(crate) Option<Py<PyAny>>,
);

/// A batch of prefixes of one depth, all in one trie.
#[pyclass(frozen, module = "sidkit._core")]
pub(crate) struct TrieStates {
    trie: Arc<sidkit_core::Trie>,
    states: States,
}

/// Values and offsets of ragged rows.
type Ragged<'py, T> = (Bound<'py, PyArray1<T>>, Bound<'py, PyArray1<i64>>);

/// Scores, parent rows, codes and states after a step of beam search.
type BeamArrays<'py> = (
    Bound<'py, PyArray1<f32>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<i64>>,
    TrieStates,
);

/// Items and scores, a row a group.
type TopItems<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

#[pymethods]
impl Trie {
    #[staticmethod]
    #[pyo3(signature = (source, layout=None, items=None, *, storage="fast", item_ids=None))]
    fn build(
        source: &Bound<'_, PyAny>,
        layout: Option<Bound<'_, SidLayout>>,
        items: Option<Bound<'_, PyAny>>,
        storage: &str,
        item_ids: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let storage = match storage {
            "fast" => Storage::Fast,
            "compact" => Storage::Compact,
            other => {
                return Err(config_error(format!(
                    "`storage` is unknown: expected `fast` or `compact`, got `{other}`"
                )));
            }
        };
        let (packed, layout) = match layout {
            Some(layout) => (source.clone(), layout),
            None => packed_and_layout(source)?,
        };
        let layout = layout.get();
        let items = items.map(|items| item_numbers("items", &items)).transpose()?;
        let keys = layout.packed("packed", &packed)?;
        let (keys, items, core) = (keys.as_slice()?, items.as_deref(), layout.0.clone());
        let built = guard::detached(packed.py(), || match core.words() {
            1 => sidkit_core::Trie::build_as(core, keys, items, storage),
            _ => sidkit_core::Trie::build_as(core, keys.as_chunks::<2>().0, items, storage),
        });
        built.map(|trie| Self(Arc::new(trie), None, item_ids))
    }

    #[staticmethod]
    #[pyo3(signature = (path, mmap=false, trusted=false))]
    pub(crate) fn open(py: Python<'_>, path: PathBuf, mmap: bool, trusted: bool) -> PyResult<Self> {
        // Looked at before the file is opened: should another one take its place in between, a pickle is refused, not wrong.
        let origin = Origin::of(&path, mmap, trusted);
        let opened = guard::detached(py, || sidkit_core::Trie::open(&path, mmap, trusted));
        opened.map(|trie| Self(Arc::new(trie), origin, None))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Pickled<'py>> {
        if let Some(origin) = self.1.as_ref().filter(|origin| origin.holds()) {
            return origin.pickle(py);
        }
        let bytes = guard::on_trie(py, &self.0, || Ok(self.0.to_bytes()))?;
        Origin::pickle_bytes(py, &bytes)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        guard::on_trie(py, &self.0, || self.0.save(&path))
    }

    #[getter]
    fn layout(&self) -> SidLayout {
        SidLayout(self.0.layout().clone())
    }

    #[getter]
    fn storage(&self) -> &'static str {
        match self.0.storage() {
            Storage::Fast => "fast",
            Storage::Compact => "compact",
        }
    }

    #[getter]
    fn nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        guard::on_trie(py, &self.0, || Ok(self.0.key_bytes()))
    }

    #[getter]
    fn item_count(&self) -> usize {
        self.0.item_count()
    }

    #[getter]
    fn item_ids(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.2.as_ref().map(|ids| ids.clone_ref(py))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn start(&self, batch: Count) -> PyResult<TrieStates> {
        let batch = batch.get("batch")?;
        arrays::affordable::<Span>("batch", batch, 1)?;
        let states = guard::on_trie_attached(&self.0, || Ok(self.0.start(batch)))?;
        Ok(self.states(states))
    }

    #[pyo3(signature = (packed, depth=None))]
    fn find(&self, packed: &Bound<'_, PyAny>, depth: Option<Count>) -> PyResult<TrieStates> {
        let keys = sid::packed(self.0.layout(), "packed", packed)?;
        let depth = depth.map_or(Ok(self.0.layout().levels()), |depth| depth.get("depth"))?;
        let keys = keys.as_slice()?;
        let found = guard::on_trie(packed.py(), &self.0, || match self.0.layout().words() {
            1 => self.0.find(keys, depth),
            _ => self.0.find(keys.as_chunks::<2>().0, depth),
        });
        found.map(|states| self.states(states))
    }

    fn lookup<'py>(&self, packed: &Bound<'py, PyAny>) -> PyResult<Ragged<'py, u32>> {
        let py = packed.py();
        let keys = sid::packed(self.0.layout(), "packed", packed)?;
        let keys = keys.as_slice()?;
        let lookup = || match self.0.layout().words() {
            1 => self.0.lookup(keys),
            _ => self.0.lookup(keys.as_chunks::<2>().0),
        };
        // A few keys are found sooner than other threads could be let in.
        let (values, offsets) = if keys.len() <= FEW_KEYS {
            guard::on_trie_attached(&self.0, lookup)?
        } else {
            guard::on_trie(py, &self.0, lookup)?
        };
        Ok((values.into_pyarray(py), offsets.into_pyarray(py)))
    }

    #[pyo3(signature = (states, out=None, *, exclude=None, allow=None, rows_per_group=1))]
    fn allowed<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        out: Option<Bound<'py, PyAny>>,
        exclude: Option<Bound<'py, PyAny>>,
        allow: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = count::rows_per_group)] rows_per_group: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let limits = OwnedLimits::new(&self.0, exclude, allow)?;
        self.fill::<bool>(py, states, out, 1, |states, out| {
            if limits.is_empty() {
                return self.0.allowed(states, out);
            }
            limits.with(|limits| self.0.allowed_within(states, rows_per_group, limits, out))
        })
    }

    #[pyo3(signature = (states, out=None))]
    fn bitmask<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fill::<i32>(py, states, out, 32, |states, out| self.0.bitmask(states, out))
    }

    fn mask_logits<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        logits: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.fill::<f32>(py, states, Some(logits), 1, |states, out| {
            self.0.mask_logits(states, out)
        })
    }

    fn item_set(&self, items: &Bound<'_, PyAny>) -> PyResult<ItemSet> {
        let numbers = integers("items", items)?;
        let set = guard::on_trie(items.py(), &self.0, || Ok(self.0.item_set(&numbers)))?;
        Ok(ItemSet {
            trie: Arc::clone(&self.0),
            set,
            item_ids: self.item_ids(items.py()),
        })
    }

    fn sids<'py>(&self, items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let (py, items) = (items.py(), integers("items", items)?);
        if self.0.layout().words() == 1 {
            let sids = guard::on_trie(py, &self.0, || self.0.sids::<u64>(&items))?;
            return Ok(sids.into_pyarray(py).into_any());
        }
        let sids = guard::on_trie(py, &self.0, || self.0.sids::<[u64; 2]>(&items))?;
        Ok(sids
            .concat()
            .into_pyarray(py)
            .reshape([items.len(), 2])?
            .into_any())
    }

    fn step(&self, states: &TrieStates, tokens: &Bound<'_, PyAny>) -> PyResult<TrieStates> {
        let (states, tokens) = (self.own(states)?, integers("tokens", tokens)?);
        let next = guard::on_trie_attached(&self.0, || self.0.step(states, &tokens))?;
        Ok(self.states(next))
    }

    fn count<'py>(&self, py: Python<'py>, states: &TrieStates) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let states = self.own(states)?;
        let counts = guard::on_trie_attached(&self.0, || Ok(self.0.count(states)))?;
        Ok(counts.into_pyarray(py))
    }

    #[pyo3(signature = (states, *, exclude=None, allow=None, rows_per_group=1))]
    fn items<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        exclude: Option<Bound<'py, PyAny>>,
        allow: Option<Bound<'py, PyAny>>,
        #[pyo3(from_py_with = count::rows_per_group)] rows_per_group: usize,
    ) -> PyResult<Ragged<'py, u32>> {
        let states = self.own(states)?;
        let limits = OwnedLimits::new(&self.0, exclude, allow)?;
        let (values, offsets) = guard::on_trie(py, &self.0, || {
            if limits.is_empty() {
                return Ok(self.0.items(states));
            }
            limits.with(|limits| self.0.items_within(states, rows_per_group, limits))
        })?;
        Ok((values.into_pyarray(py), offsets.into_pyarray(py)))
    }

    fn longest_prefix<'py>(&self, packed: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<u8>>> {
        let keys = sid::packed(self.0.layout(), "packed", packed)?;
        nearby::longest_prefix(packed.py(), &self.0, keys.as_slice()?)
    }

    fn neighbours<'py>(
        &self,
        items: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = count::k)] k: usize,
    ) -> PyResult<Near<'py>> {
        nearby::neighbours(items.py(), &self.0, &integers("items", items)?, k)
    }

    #[pyo3(signature = (states, k, *, seed))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        #[pyo3(from_py_with = count::k)] k: usize,
        #[pyo3(from_py_with = count::seed)] seed: u64,
    ) -> PyResult<Bound<'py, PyArray2<i32>>> {
        nearby::sample(py, &self.0, self.own(states)?, k, seed)
    }

    #[pyo3(signature = (log_probs, states, scores, *, rows_per_group, beam, exclude=None, allow=None, renormalize=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn beam_step<'py>(
        &self,
        py: Python<'py>,
        log_probs: Bound<'py, PyAny>,
        states: &TrieStates,
        scores: Bound<'py, PyAny>,
        rows_per_group: Count,
        beam: Count,
        exclude: Option<Bound<'py, PyAny>>,
        allow: Option<Bound<'py, PyAny>>,
        renormalize: bool,
    ) -> PyResult<BeamArrays<'py>> {
        let states = self.own(states)?;
        let size = self.0.next_size(states).map_err(to_python)? as usize;
        let log_probs =
            arrays::read::<f32, Ix2>(&log_probs, "log_probs", "(states, tokens of the next level)")?;
        arrays::check_axis("log_probs", 0, log_probs.shape()[0], states.len())?;
        arrays::check_axis("log_probs", 1, log_probs.shape()[1], size)?;
        let scores = arrays::read::<f32, Ix1>(&scores, "scores", "(states,)")?;
        let (rows_per_group, beam) = (rows_per_group.get("rows_per_group")?, beam.get("beam")?);
        arrays::affordable::<[u64; 4]>("beam", states.len(), beam)?;
        let limits = OwnedLimits::new(&self.0, exclude, allow)?;
        let (log_probs, scores) = (log_probs.as_slice()?, scores.as_slice()?);
        let beams = guard::on_trie(py, &self.0, || {
            limits.with(|&limits| {
                let step = BeamStep {
                    rows_per_group,
                    beam,
                    limits,
                    renormalize,
                };
                self.0.beam_step(log_probs, states, scores, &step)
            })
        })?;
        let (scores, parents, codes) = (beams.scores, beams.parents, beams.codes);
        let arrays = (
            scores.into_pyarray(py),
            parents.into_pyarray(py),
            codes.into_pyarray(py),
        );
        Ok((arrays.0, arrays.1, arrays.2, self.states(beams.states)))
    }

    #[pyo3(signature = (states, scores, *, rows_per_group, k, exclude=None, allow=None))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn top_items<'py>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        scores: Bound<'py, PyAny>,
        rows_per_group: Count,
        k: Count,
        exclude: Option<Bound<'py, PyAny>>,
        allow: Option<Bound<'py, PyAny>>,
    ) -> PyResult<TopItems<'py>> {
        let states = self.own(states)?;
        let scores = arrays::read::<f32, Ix1>(&scores, "scores", "(states,)")?;
        let (rows_per_group, k) = (rows_per_group.get("rows_per_group")?, k.get("k")?);
        arrays::affordable::<u64>("k", states.len(), k)?;
        let limits = OwnedLimits::new(&self.0, exclude, allow)?;
        let scores = scores.as_slice()?;
        let (items, scores) = guard::on_trie(py, &self.0, || {
            limits.with(|limits| self.0.top_items(states, scores, rows_per_group, k, limits))
        })?;
        let shape = [states.len() / rows_per_group, k];
        Ok((
            nearby::numbers(py, items, shape)?,
            scores.into_pyarray(py).reshape(shape)?,
        ))
    }

    #[pyo3(signature = (device=None))]
    fn to_torch<'py>(
        slf: Bound<'py, Self>,
        device: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let tensors = slf.py().import("sidkit.decode")?.getattr("TrieTensors")?;
        match device {
            Some(device) => tensors.call_method1("of", (slf, device)),
            None => tensors.call_method1("of", (slf,)),
        }
    }

    fn __repr__(&self) -> String {
        let sizes = self.0.layout().sizes();
        format!(
            "<Trie of {} SIDs under {:?}, {} items>",
            self.0.len(),
            sizes,
            self.0.item_count()
        )
    }
}

impl Trie {
    /// Unpickles an [`Origin`].
    pub(crate) fn of(trie: sidkit_core::Trie) -> Self {
        Self(Arc::new(trie), None, None)
    }

    fn states(&self, states: States) -> TrieStates {
        TrieStates {
            trie: Arc::clone(&self.0),
            states,
        }
    }

    /// Lets `write` fill `out`, or a new array of zeros, of as many rows as states and one element for `per` codes.
    fn fill<'py, T: Element + Default>(
        &self,
        py: Python<'py>,
        states: &TrieStates,
        out: Option<Bound<'py, PyAny>>,
        per: usize,
        write: impl FnOnce(&States, &mut [T]) -> sidkit_core::Result<()> + Send,
    ) -> PyResult<Bound<'py, PyAny>> {
        let states = self.own(states)?;
        let size = self.0.next_size(states).map_err(to_python)? as usize;
        let shape = [states.len(), size.div_ceil(per)];
        let out = match out {
            Some(out) => out,
            None => arrays::zeros::<T, _>(py, shape)?.into_any(),
        };
        let mut array = arrays::write::<T, Ix2>(&out, "out", "(states, tokens of the next level)")?;
        arrays::check_axis("out", 0, array.shape()[0], shape[0])?;
        arrays::check_axis("out", 1, array.shape()[1], shape[1])?;
        let rows = array.as_slice_mut()?;
        guard::on_trie(py, &self.0, || write(states, rows))?;
        Ok(out)
    }

    /// The states, if they are this trie's.
    fn own<'a>(&self, states: &'a TrieStates) -> PyResult<&'a States> {
        if Arc::ptr_eq(&self.0, &states.trie) {
            Ok(&states.states)
        } else {
            Err(data_error(
                "`states` belong to another trie: expected states of this one. Start again with its `start`",
            ))
        }
    }
}

#[pymethods]
impl TrieStates {
    fn __len__(&self) -> usize {
        self.states.len()
    }

    #[getter]
    fn depth(&self) -> usize {
        self.states.depth()
    }

    #[getter]
    fn dead<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<bool>>> {
        let dead = arrays::zeros::<bool, _>(py, self.states.len())?;
        for (dead, span) in dead
            .readwrite()
            .as_slice_mut()?
            .iter_mut()
            .zip(self.states.spans())
        {
            *dead = span.is_dead();
        }
        Ok(dead)
    }

    fn select(&self, rows: &Bound<'_, PyAny>) -> PyResult<Self> {
        let rows = integers("rows", rows)?;
        let states = guard::on_trie_attached(&self.trie, || self.states.select(&rows))?;
        Ok(Self {
            trie: Arc::clone(&self.trie),
            states,
        })
    }

    fn __repr__(&self) -> String {
        format!(
            "<TrieStates: {} prefixes of {} tokens>",
            self.states.len(),
            self.states.depth()
        )
    }
}

/// The attributes of a table of SIDs.
fn packed_and_layout<'py>(
    source: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, SidLayout>)> {
    let read = || Some((source.getattr("packed").ok()?, source.getattr("layout").ok()?));
    let (packed, layout) = read().ok_or_else(|| {
        type_error(format!(
            "`source` has the wrong type: expected a SidTable, or packed SIDs together with their layout, got {}",
            source.get_type()
        ))
    })?;
    Ok((packed, layout.cast_into::<SidLayout>()?))
}

/// `value`, a one-dimensional array of any integers.
pub(crate) fn integers(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<i64>> {
    let array = value.cast::<numpy::PyUntypedArray>().map_err(|_| {
        type_error(format!(
            "`{what}` has the wrong type: expected a NumPy array of integers, got {}",
            value.get_type()
        ))
    })?;
    let kind = array.dtype().kind();
    if kind != b'i' && kind != b'u' {
        return Err(type_error(format!(
            "`{what}` has the wrong dtype: expected integers, got {}",
            array.dtype()
        )));
    }
    if array.ndim() != 1 {
        return Err(data_error(format!(
            "`{what}` has the wrong shape: expected one dimension, got {}",
            array.ndim()
        )));
    }
    arrays::affordable::<i64>(what, array.len(), 2)?;
    let wide = value.call_method1("astype", ("int64",))?;
    Ok(wide.cast::<PyArrayDyn<i64>>()?.to_vec()?)
}

/// `value`, a one-dimensional array of item numbers, 0 to 2³² − 1.
pub(crate) fn item_numbers(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u32>> {
    let number = |item: i64| {
        u32::try_from(item).map_err(|_| {
            data_error(format!(
                "an item of `{what}` is out of range: expected 0 to {}, got {item}",
                u32::MAX
            ))
        })
    };
    integers(what, value)?.into_iter().map(number).collect()
}
