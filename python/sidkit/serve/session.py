"""Recommendation from the inference file of a saved model by the Rust core, with NumPy only."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._core import InferenceModel, ItemSet
from sidkit.errors import ConfigError, DataError
from sidkit.serve.session_files import INFERENCE, inference_file
from sidkit.serve.session_ids import Ragged, flatten, ids_of_rows, ragged, rows_of_ids, rows_of_set

__all__ = ["Session", "SessionState"]

Lists = tuple[npt.NDArray[Any], npt.NDArray[np.float32]]
#: Most items of a list, and prefixes of a beam.
_MOST = 2**20


class Session:
    """A trained model that recommends, ready a moment after its file is opened.

    A session answers as the recommender that it was saved from does: ids in, ids and scores out. The vectors
    and weights are mapped from the file, so processes that open the same file share its memory. Calls run
    without the GIL; a session can be used by many threads, and pickles as the path of its file.

    `Session.open` makes a session.

    Args:
        model: the model in the core.
        path: its file.
        trusted: whether its checksum was not verified.
        threads: see `open`.

    Example:
        >>> session = sidkit.Session.open("shop-model")
        >>> ids, scores = session.recommend([50, 172, 181], k=10)
    """

    def __init__(self, model: InferenceModel, path: Path, *, trusted: bool, threads: int | None) -> None:
        self._model = model
        self._path = path
        self._trusted = trusted
        self._threads = threads

    @classmethod
    def open(cls, path: str | Path, *, trusted: bool = False, threads: int | None = None) -> "Session":
        """Open a saved model.

        Args:
            path: the directory that `save` of RQTransformer, SASRec or GRU4Rec wrote, or an inference file
                that `Session.export` wrote.
            trusted: skip the verification of the checksum and of every number, for files that were verified
                before.
            threads: most threads of a batch; None for one per core. One history runs on the calling thread.

        Raises:
            FileNotFoundError: if there is nothing at `path`.
            FormatError: if the file is missing in the directory, damaged, or of another version.
            ConfigError: if the model is of a method without inference file, or `threads` is below 1.
        """
        if threads is not None and threads < 1:
            raise ConfigError(f"`threads` is out of range: expected at least 1 or None, got {threads}")
        file = inference_file(Path(path))
        return cls(InferenceModel.open(file, trusted=trusted), file, trusted=trusted, threads=threads)

    @staticmethod
    def export(model: Any, path: str | Path) -> None:
        """Write the inference file of a fitted recommender, which needs torch.

        `save` writes it, too, except for catalogues so large that their softmaxes are sampled: there it takes
        about 1 KiB per item.

        Args:
            model: RQTransformer, SASRec or GRU4Rec, fitted.
            path: a directory, such as that of the saved model, or a file whose name ends in `.safetensors`.

        Raises:
            ConfigError: if the recommender has another method.
        """
        from sidkit.recommenders.inference import write_inference_file

        target = Path(path)
        file = target if target.suffix == ".safetensors" else target / INFERENCE
        file.parent.mkdir(parents=True, exist_ok=True)
        write_inference_file(model, file)

    def recommend(
        self,
        histories: Any,
        k: int = 10,
        *,
        scoring: str | None = None,
        exclude_seen: bool = True,
        exclude: Any = None,
        allow: Any = None,
        beam: int = 50,
        strict: bool = False,
    ) -> Lists:
        """Recommend the next items after one history or a batch of histories.

        Filters are part of the search, so lists stay full as long as enough other items exist. Unknown items
        of a history are skipped; a history without a known item is answered by popularity.

        Args:
            histories: item ids, oldest first, in any form that recommenders take: one list, or a batch as a
                list of lists, NumPy array, polars or Arrow column of lists, `Histories` or `EvaluationSet`.
            k: items per history.
            scoring: one of `scorings`; None for the first.
            exclude_seen: exclude the items of each history.
            exclude: ids or a `sidkit.ItemSet` to exclude, for all histories or one per history. Unknown ids
                are skipped.
            allow: the same, of items that may be recommended, and nothing else.
            beam: prefixes kept at every level of a beam search; at least `k` are.
            strict: refuse unknown ids in histories, and histories without an item.

        Returns:
            ids: item ids (m, k), best first: int64, padded with -1, or an object array of strings, padded
                with None, where fewer items exist. One flat history gives (k,).
            scores: float32 of the same shape, padded with -inf.

        Raises:
            ConfigError: if `k` or `beam` is not in 1..1048576, or there is no such scoring.
            DataError: if histories or filters have the wrong form, or with `strict` an id is unknown or a
                history empty.
        """
        parsed, single = self._histories(histories, strict)
        count = len(parsed.offsets) - 1
        shared, each = None, None
        if exclude is not None:
            given = self._filter(exclude, count, "exclude")
            shared, each = (given.values, None) if len(given.offsets) == 2 else (None, given)
        rows, scores = self._model.recommend(
            parsed,
            k=_in_range("k", k),
            scoring=scoring,
            beam=_in_range("beam", beam),
            exclude_seen=exclude_seen,
            exclude=shared,
            exclude_each=each,
            allow=None if allow is None else self._filter(allow, count, "allow"),
            threads=self._threads or 0,
        )
        ids = ids_of_rows(self._model, rows)
        return (ids[0], scores[0]) if single else (ids, scores)

    def similar_items(self, ids: Any, k: int = 10) -> Lists:
        """Return the items whose learned vectors have the highest cosine similarity.

        Args:
            ids: one item id, or a list of ids.
            k: items to return for each.

        Returns:
            ids: (n, k), most similar first; (k,) for one id. An item is not similar to itself.
            scores: cosine similarities, float32 of the same shape; padding as in `recommend`.

        Raises:
            ConfigError: if `k` is not in 1..1048576.
            DataError: if an id is unknown.
        """
        single = isinstance(ids, str | int | np.integer)
        rows = self._known_rows([ids] if single else list(ids))
        found, scores = self._model.similar(rows, k=_in_range("k", k), threads=self._threads or 0)
        names = ids_of_rows(self._model, found)
        return (names[0], scores[0]) if single else (names, scores)

    def start(self, history: Iterable[Any] = ()) -> "SessionState":
        """Begin the state of a user, to which events are appended one at a time.

        Args:
            history: item ids, oldest first; unknown ones are skipped.
        """
        parsed, _ = self._histories(list(history), strict=False)
        return SessionState(self, self._model.start(parsed.values))

    def add_items(self, item_ids: Any, item_vectors: Any = None, *, tokens: npt.ArrayLike) -> None:
        """Add items, which can be recommended at once and may occur in histories; all of them or none.

        Requests that run meanwhile do not wait; those that began before do not see the items. An item that
        was removed before is restored as it was. The transition graph has no edges of new items, and the
        file of the session does not change: save the model with these items for both.

        Args:
            item_ids: their ids, of the type of the catalogue's.
            item_vectors: content vector of each, float (m, d), made as those of the training; None for a
                model without content.
            tokens: Semantic ID of each, integers (m, levels), such as `sids.tokens` of the table that
                `append_items` returns.

        Raises:
            ConfigError: if the model has one vector per item, or `item_vectors` are missing.
            DataError: if an item is in the catalogue already, or ids, vectors and tokens do not fit.
        """
        ids, _, _ = flatten(item_ids)
        rows_of_ids(self._model, ids)  # checks their types
        width, given = self._model.content_dim, np.asarray(tokens)
        if self._model.has_int_ids:
            ids = [int(each) for each in ids]
        if width and item_vectors is None:
            raise ConfigError(
                f"`{self.method}` scores new items by content: expected `item_vectors` of {width} dimensions "
                "each, got None. Embed them as those of the training."
            )
        content = np.zeros((len(ids), 0), np.float32)
        if item_vectors is not None and width != 0:
            content = np.ascontiguousarray(item_vectors, np.float32)
        if given.dtype.kind not in "iu" or (given.size and not 0 <= given.min() <= given.max() < 2**16):
            raise DataError(
                f"`tokens` are out of range: expected integers from 0 to 65535, got {given.dtype}"
            )
        try:
            self._model.add_items(ids, content, np.ascontiguousarray(given, np.uint16))
        except ConfigError:
            raise
        except (ValueError, OverflowError) as error:
            raise DataError(f"the items cannot be added: {error}") from error

    def remove_items(self, item_ids: Any) -> None:
        """Remove items, which are not recommended any more; they may still occur in histories.

        Args:
            item_ids: their ids; those that were removed before are ignored.

        Raises:
            DataError: if an id is unknown; nothing is removed then.
        """
        self._model.remove_items(self._known_rows(flatten(item_ids)[0]))

    def known(self, ids: Any) -> npt.NDArray[np.bool_]:
        """Return whether each id is one of an item, bool (n,); removed items are."""
        return self.rows(ids) >= 0

    def rows(self, ids: Any) -> npt.NDArray[np.int64]:
        """Return the row of each id in `item_ids`, int64 (n,), -1 for an unknown one.

        Raises:
            DataError: if ids are neither integers nor strings, or integers where the catalogue has strings.
        """
        return rows_of_ids(self._model, list(ids))

    def semantic_id(self, item_id: Any) -> str | None:
        """Return the Semantic ID of an item, such as `12-200-7-0`; None if the model has none.

        Raises:
            DataError: if the id is unknown.
        """
        tokens = self._model.tokens(int(self._known_rows([item_id])[0]))
        return None if tokens is None else "-".join(map(str, tokens))

    def item_vectors(self) -> npt.NDArray[np.float32]:
        """Return a copy of the learned vectors of all items, float32 (items, d), ordered as `item_ids`."""
        return self._model.vectors()

    @property
    def item_ids(self) -> npt.NDArray[Any]:
        """Ids of all items, removed ones included: int64 or an object array of strings, (items,)."""
        return ids_of_rows(self._model, np.arange(self._model.items, dtype=np.int32))

    @property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """Training events of each item, int64 (items,)."""
        return self._model.counts()

    @property
    def removed(self) -> npt.NDArray[np.bool_]:
        """Items that were removed, bool (items,)."""
        return ~self._model.live()

    @property
    def method(self) -> str:
        """Method of the recommender."""
        return self._model.method

    @property
    def scorings(self) -> tuple[str, ...]:
        """Rankings that the model offers; the first is the default."""
        return tuple(self._model.scorings)

    @property
    def path(self) -> Path:
        """The inference file."""
        return self._path

    @property
    def version(self) -> int:
        """Number of changes of the catalogue since the session was opened."""
        return self._model.version

    def __len__(self) -> int:
        """Return the number of items that can be recommended."""
        return len(self._model)

    def __repr__(self) -> str:
        return f"<Session of `{self.method}`, {len(self)} items>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.version:
            raise ConfigError(
                "a session with a changed catalogue cannot be pickled: expected no added or removed items, "
                f"got {self.version} changes. Open the session in the other process and apply them there."
            )
        return _reopen, (str(self._path.absolute()), self._trusted, self._threads)

    def _histories(self, given: Any, strict: bool) -> tuple[Ragged, bool]:
        """Return histories as rows, and whether one was given instead of a batch."""
        given = getattr(given, "histories", given)  # of an `EvaluationSet`
        ragged_rows = hasattr(given, "values") and hasattr(given, "offsets")
        if ragged_rows and not hasattr(given, "to_pylist"):  # `Histories` or `Sequences`, not an Arrow array
            return self._of_sequences(given), False
        flat, lengths, single = flatten(given)
        rows = rows_of_ids(self._model, flat)
        if strict:
            _check_strict(rows, flat, lengths)
        return ragged(rows, lengths), single

    def _of_sequences(self, given: Any) -> Ragged:
        """Return `Histories`, by their ids, or `Sequences`, which are rows already."""
        values, ids = np.asarray(given.values), getattr(given, "item_ids", None)
        lengths = np.diff(given.offsets).astype(np.int64)
        if ids is not None:
            return ragged(rows_of_ids(self._model, ids.to_list())[values], lengths)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < self._model.items:
            raise DataError(
                f"a history holds item row {int(values.max())}: expected rows below {self._model.items}. "
                "Pass lists of item ids."
            )
        return ragged(values.astype(np.int64), lengths)

    def _filter(self, given: Any, histories: int, name: str) -> Ragged:
        """Return a filter as rows: one list for all histories, or one per history."""
        sets = (
            [given] if isinstance(given, ItemSet) else list(given) if isinstance(given, list | tuple) else []
        )
        if sets and all(isinstance(each, ItemSet) for each in sets):
            lists = [rows_of_set(self._model, each, name) for each in sets]
            rows = np.concatenate(lists)
            lengths, single = np.array([len(each) for each in lists]), isinstance(given, ItemSet)
        else:
            if name == "allow" and any(each is None for each in sets):
                raise DataError(
                    "`allow` has no list for a history: expected a list of ids, got None. Pass [] to allow "
                    "nothing."
                )
            flat, lengths, single = flatten(given)
            rows = rows_of_ids(self._model, flat)
        if not single and len(lengths) != histories:
            raise DataError(
                f"a filter of items has {len(lengths)} lists: expected one list of ids for all histories, or "
                f"one for each of the {histories} histories. Correct `{name}`."
            )
        return ragged(rows, lengths)

    def _known_rows(self, ids: list[Any]) -> npt.NDArray[np.uint32]:
        """Return the rows of ids that must all be known, uint32 (n,)."""
        rows = rows_of_ids(self._model, ids)
        if (rows < 0).any():
            unknown = ids[int(np.argmax(rows < 0))]
            raise DataError(f"item {unknown!r} is unknown: expected one of {self._model.items} items")
        return rows.astype(np.uint32)


class SessionState:
    """The history of a user, encoded so far. Appending an event costs one step of a recurrent encoder.

    `Session.start` makes a state. Results equal those of `Session.recommend` for the whole history.

    Args:
        session: the session.
        state: the state in the core.
    """

    def __init__(self, session: Session, state: Any) -> None:
        self._session = session
        self._state = state

    def append(self, item_id: Any) -> bool:
        """Append an item to the history; return False if its id is unknown, which changes nothing."""
        model = self._session._model
        rows = rows_of_ids(model, [item_id])
        if rows[0] < 0:
            return False
        model.append(self._state, rows.astype(np.uint32))
        return True

    def recommend(
        self,
        k: int = 10,
        *,
        scoring: str | None = None,
        exclude_seen: bool = True,
        exclude: Any = None,
        allow: Any = None,
        beam: int = 50,
    ) -> Lists:
        """Recommend the next items; the arguments and results are those of `Session.recommend`, (k,) each."""
        session = self._session
        rows, scores = session._model.recommend_next(
            self._state,
            k=_in_range("k", k),
            scoring=scoring,
            beam=_in_range("beam", beam),
            exclude_seen=exclude_seen,
            exclude=None if exclude is None else session._filter(exclude, 1, "exclude").values,
            allow=None if allow is None else session._filter(allow, 1, "allow"),
        )
        return ids_of_rows(session._model, rows)[0], scores[0]

    @property
    def history(self) -> npt.NDArray[Any]:
        """Ids of the items so far, oldest first."""
        return ids_of_rows(self._session._model, self._state.items.astype(np.int32))


def _in_range(name: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise ConfigError(f"`{name}` is invalid: expected an integer in 1..{_MOST}, got {value!r}.")
    return int(value)


def _check_strict(rows: npt.NDArray[np.int64], ids: list[Any], lengths: npt.NDArray[np.int64]) -> None:
    if (rows < 0).any():
        unknown = ids[int(np.argmax(rows < 0))]
        raise DataError(f"item {unknown!r} of a history is unknown: expected items of the catalogue")
    if len(lengths) and not lengths.all():
        raise DataError(f"history {int(np.argmin(lengths))} is empty: expected at least one item, got none")


def _reopen(path: str, trusted: bool, threads: int | None) -> Session:
    return Session.open(path, trusted=trusted, threads=threads)
