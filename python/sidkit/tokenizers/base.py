"""Contract of tokenizers: vectors to codes, codes to Semantic IDs, and back."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit._params import Parameters
from sidkit._progress import Progress, silent
from sidkit._vectors import row_blocks
from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.ids import Reassignment, SidTable
from sidkit.tokenizers.parts.arrays import (
    Codes,
    State,
    VectorOverflowError,
    Vectors,
    check_learnable,
    check_shape,
    check_vectors,
)
from sidkit.tokenizers.parts.checks import check_sizes
from sidkit.tokenizers.parts.files import (
    read_tokenizer,
    restored_parameters,
    stored_parameters,
    write_tokenizer,
)
from sidkit.tokenizers.quality.usage import code_counts, warn_of_collapse
from sidkit.tokenizers.registry import TOKENIZERS

__all__ = ["Tokenizer", "load_tokenizer"]

#: Rows decoded at once where memory matters.
_BLOCK = 8192

_Tokenizer = TypeVar("_Tokenizer", bound="Tokenizer")


class Tokenizer(Parameters, ABC):
    """Base class of tokenizers, which assign codes to vectors.

    The constructor stores parameters, `fit` learns, and learned attributes end in an underscore. The same
    parameters and data give the same codes; the same vector gets the same codes in any batch and on any
    number of threads. Tokenizers work with `sklearn.base.clone` and as the last step of a
    `sklearn.pipeline.Pipeline`, where `transform` is `encode`.

    A subclass sets `method`, implements `_fit`, `_encode`, `_decode`, `_alternatives`, `_state` and
    `_restore`, and calls `_set_sizes` in its constructor or overrides `codebook_sizes`. Checks, files and
    warnings are inherited. A built-in tokenizer is one module of this package, named after its method; a
    third party registers its class under the entry-point group `sidkit.tokenizers`.
    """

    #: Name in files, configurations and the registry.
    method: ClassVar[str]

    #: True if uneven use of codes indicates a bad fit, of which `fit` warns.
    expects_even_use: ClassVar[bool] = True
    #: Codebook collapses during training and the actions taken; also in files and quality reports.
    notes: tuple[str, ...] = ()

    levels: int
    codebook_size: int | Sequence[int]
    _sizes: tuple[int, ...]
    _dim: int | None = None

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Number of codes of each level."""
        return self._sizes

    @property
    def dim(self) -> int:
        """Number of dimensions of the vectors.

        Raises:
            NotFittedError: before `fit`.
        """
        if self._dim is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted. Call fit(x) first.")
        return self._dim

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that identify everything that determines the codes."""
        digest = hashlib.blake2b(f"{self.method} {self.dim}".encode(), digest_size=16)
        for name, array in sorted(self._state().items()):
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def fit_inputs(self) -> tuple[str, ...]:
        """Keyword arguments of `fit` that these parameters require besides the vectors.

        A subset of `histories` (training histories of item rows), `texts` (one string per item) and
        `collaborative_embeddings` (float (n, width), one row per item).
        """
        return ()

    @checked
    def fit(
        self: _Tokenizer,
        x: npt.ArrayLike,
        y: None = None,
        *,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> _Tokenizer:
        """Learn from vectors.

        Args:
            x: float (n, dim), within ±1e36, with at least as many rows as the largest level has codes.
            y: ignored; present for scikit-learn pipelines.
            progress: called as `progress(done, total, **figures)` from time to time: steps done, steps in
                total, latest figures.
            checkpoint: file for the state of a long training, written from time to time and on interruption.
                The same `fit` resumes from it; it is deleted at the end. Ignored by tokenizers that are fast
                to fit.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if `x` is not such an array.
            FormatError: if the checkpoint belongs to other parameters or data, or is damaged.

        Warns:
            CodebookCollapseWarning: if a level uses few of its codes.
        """
        rows = self._sample(len(given := check_shape(x)))
        vectors = check_vectors(given) if rows is None else check_vectors(given[rows], rows=rows.tolist())
        if not len(vectors):
            raise DataError("there is nothing to learn from: expected one vector per item, got 0 rows.")
        if len(vectors) < max(self.codebook_sizes):
            raise DataError(
                f"there are too few vectors: expected at least {max(self.codebook_sizes)}, the codes of the "
                f"largest level, got {len(vectors)}. Set codebook_size={max(1, len(vectors) // 4)} or less."
            )
        check_learnable(vectors, None if rows is None else rows.tolist())
        self._fit(vectors, progress, checkpoint)
        self._dim = vectors.shape[1]
        if self.expects_even_use:
            counts = code_counts(self._encode(vectors), self.codebook_sizes)
            warn_of_collapse(counts, type(self).__name__)
        return self

    @checked
    def encode(self, x: npt.ArrayLike) -> Codes:
        """Return the codes of vectors.

        Vectors are read in blocks and converted to float32 block by block: a memory-mapped or float16 array
        is never copied as a whole.

        Args:
            x: float (n, dim), or one vector (dim,).

        Returns:
            uint16 (n, levels), or (levels,) for one vector.

        Raises:
            NotFittedError: before `fit`.
            DataError: if `x` is not finite, so large that its latent vectors are not, or has other dimensions
                than the vectors of `fit`.
        """
        dim = self.dim
        array = np.asarray(x)
        if array.ndim == 1:
            codes: Codes = self._encode(check_vectors(array[None], dim))[0]
            return codes
        return self._encode_blocks(check_shape(array, dim), silent)

    @checked
    def transform(self, x: npt.ArrayLike) -> Codes:
        """Return `encode(x)`, under the name that scikit-learn pipelines use."""
        return self.encode(x)

    @checked
    def fit_transform(self, x: npt.ArrayLike, y: None = None, **fit_params: Any) -> Codes:
        """Return `fit(x, **fit_params).encode(x)`."""
        return self.fit(x, **fit_params).encode(x)

    @checked
    def decode(self, codes: npt.ArrayLike) -> Vectors:
        """Return the vectors that codes represent.

        Args:
            codes: integers (n, 1 to levels). Codes of the first levels only give coarser vectors.

        Returns:
            float32 (n, dim).

        Raises:
            NotFittedError: before `fit`.
            DataError: if there are no or too many levels, or a code is not below its level's size.
        """
        dim = self.dim
        return self._decode(self._checked_codes(codes)).reshape(-1, dim)

    @checked
    def alternatives(self, x: npt.ArrayLike, count: int = 64) -> Codes:
        """Return the nearest codes of vectors, nearest first, for the collision policy `reassign`.

        Args:
            x: float (n, dim).
            count: maximum number of choices per vector.

        Returns:
            uint16 (n, choices, levels).

        Raises:
            NotFittedError: before `fit`.
            DataError: if `x` is not finite, so large that its latent vectors are not, or has other dimensions
                than the vectors of `fit`.
            ConfigError: if `count` is less than 1.
        """
        if count < 1:
            raise ConfigError(f"`count` is invalid: expected an integer >= 1, got {count}.")
        return self._alternatives(check_vectors(x, self.dim), count)

    @checked
    def decoding_costs(
        self, x: npt.NDArray[np.floating]
    ) -> Callable[[npt.NDArray[np.int64], Codes], npt.NDArray[np.float64]]:
        """Return the `costs` of `sidkit.ids.reassign`: squared distances of vectors to decoded codes.

        Args:
            x: float (n, dim), the vectors of all items.

        Returns:
            A function of row numbers, int64 (m,), and codes, uint16 (m, choices, levels), that gives float64
            (m, choices).
        """

        def costs(rows: npt.NDArray[np.int64], codes: Codes) -> npt.NDArray[np.float64]:
            choices = codes.shape[1]
            items = np.repeat(rows, choices)
            flat = codes.reshape(len(items), -1)
            found = np.empty(len(items))
            for start in range(0, len(items), _BLOCK):
                block = slice(start, start + _BLOCK)
                away = self.decode(flat[block]).astype(np.float64) - x[items[block]]
                found[block] = np.einsum("ij,ij->i", away, away)
            return found.reshape(-1, choices)

        return costs

    @checked
    def semantic_ids(
        self,
        x: npt.ArrayLike,
        item_ids: Any,
        *,
        collisions: str = "suffix",
        reassign: str = "first",
        collision_size: int | None = None,
        capacity: Count = 1,
        progress: Progress | None = None,
    ) -> SidTable:
        """Encode items and resolve collisions.

        Args:
            x: float (n, dim), one vector per item.
            item_ids: n distinct integers or strings, one per row of `x`.
            collisions: policy for items with equal codes: `suffix` (append a collision token), `reassign`
                (move items to the nearest free code) or `share` (several items per Semantic ID).
            reassign: with `reassign`, which items move: `first`, `nearest` or `sinkhorn`, see
                `sidkit.ids.reassign`.
            collision_size: with `suffix`, size of the collision token; by default that of the largest group.
            capacity: with `reassign`, maximum number of items per code.
            progress: called with rows encoded and rows in total.

        Returns:
            The table of items and their Semantic IDs, in the order of `item_ids`.

        Raises:
            NotFittedError: before `fit`.
            DataError: if the vectors are invalid, or `item_ids` does not fit them.
            ConfigError: if the policy is unknown, or an argument belongs to another policy.
            CollisionError: if the policy cannot give every item a Semantic ID.
        """
        vectors = check_shape(x, self.dim)
        if vectors.dtype not in (np.float16, np.float32):
            vectors = check_vectors(vectors)
        reassignment = None
        if collisions == "reassign" or reassign != "first" or capacity != 1:
            reassignment = Reassignment(
                lambda rows: self._alternatives(check_vectors(vectors[rows]), 64),
                reassign,
                capacity,
                None if reassign == "first" else self.decoding_costs(vectors),
            )
        return SidTable.from_codes(
            self._encode_blocks(vectors, progress or silent),
            item_ids,
            self.codebook_sizes,
            collisions=collisions,
            collision_size=collision_size,
            reassignment=reassignment,
        )

    @checked
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a safetensors file, atomically.

        Raises:
            NotFittedError: before `fit`.
        """
        described = {
            "method": self.method,
            "dim": self.dim,
            "settings": stored_parameters(self.get_params(deep=False)),
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
        }
        write_tokenizer(path, described, self._state())

    @classmethod
    @checked
    def load(cls: type[_Tokenizer], path: str | os.PathLike[str]) -> _Tokenizer:
        """Read a tokenizer of this class that `save` wrote; `load_tokenizer` reads any tokenizer.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if the file is truncated, foreign, damaged or of another method.
        """
        tokenizer = load_tokenizer(path)
        if not isinstance(tokenizer, cls):
            raise FormatError(
                f"{path} has the wrong method: expected a {cls.__name__}, got `{tokenizer.method}`. "
                "Use load_tokenizer(path), which reads any tokenizer."
            )
        return tokenizer

    @checked
    def set_params(self: _Tokenizer, **params: Any) -> _Tokenizer:
        """Change parameters in place, as `Parameters.set_params`.

        A fitted tokenizer has to be fitted again, unless `threads` is all that changes.
        """
        super().set_params(**params)
        if params.keys() - {"threads"}:
            self._dim = None
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return self._dim is not None

    def _set_sizes(self, levels: int, codebook_size: int | Sequence[int]) -> None:
        """Store `levels` and `codebook_size`, or raise ConfigError if they are invalid."""
        self._sizes = check_sizes(levels, codebook_size)
        self.levels = levels
        self.codebook_size = codebook_size

    def _encode_blocks(self, x: npt.NDArray[np.floating[Any]], progress: Progress) -> Codes:
        """Encode vectors of the right shape, float (n, dim), block by block."""
        codes = np.empty((len(x), len(self.codebook_sizes)), np.uint16)
        for block in row_blocks(*x.shape):
            rows = range(block.start, block.stop)
            try:
                codes[block] = self._encode(check_vectors(x[block], rows=rows))
            except VectorOverflowError as error:
                raise VectorOverflowError(rows[error.row], error.what) from None
            progress(block.stop, len(x))
        return codes

    def _sample(self, count: int) -> npt.NDArray[np.int64] | None:
        """Return the rows of `count` vectors that `fit` learns from, increasing, or None for all."""
        return None

    def _checked_codes(self, codes: npt.ArrayLike) -> Codes:
        """Codes of the first one or more levels, uint16, or DataError as documented in `decode`."""
        array, levels = np.asarray(codes), len(self.codebook_sizes)
        if array.ndim != 2 or array.dtype.kind not in "iu" or not 1 <= array.shape[1] <= levels:
            raise DataError(
                f"codes have the wrong type or shape: expected integers (n, 1 to {levels}), got "
                f"{array.dtype} {array.shape}."
            )
        wrong = np.argwhere((array < 0) | (array >= np.asarray(self.codebook_sizes[: array.shape[1]])))
        if len(wrong):
            row, level = (int(part) for part in wrong[0])
            raise DataError(
                f"the code of row {row} at level {level} is out of range: expected 0 to "
                f"{self.codebook_sizes[level] - 1}, got {array[row, level]}."
            )
        return np.ascontiguousarray(array, dtype=np.uint16)

    @abstractmethod
    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        """Learn from checked vectors."""

    @abstractmethod
    def _encode(self, x: Vectors) -> Codes:
        """Encode checked vectors, float32 (n, dim)."""

    @abstractmethod
    def _decode(self, codes: Codes) -> Vectors:
        """Decode checked codes of the first one or more levels."""

    @abstractmethod
    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """Find at most `count` distinct codes for each checked vector, nearest first."""

    @abstractmethod
    def _state(self) -> State:
        """Return the learned state as named arrays."""

    @abstractmethod
    def _restore(self, state: State, dim: Count) -> None:
        """Restore what `_state` returned, or raise FormatError if it does not fit the parameters."""


@checked
def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer of any method from a file that its `save` wrote. Nothing is unpickled.

    Raises:
        FileNotFoundError: if there is no such file.
        FormatError: if the file is truncated, foreign, damaged, or of an unknown method.
    """
    described, state = read_tokenizer(path)
    try:
        kind: type[Tokenizer] = TOKENIZERS[described["method"]]
    except ConfigError as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    try:
        tokenizer = kind(**restored_parameters(kind, described["settings"]))
        tokenizer._restore(state, described["dim"])
    except (ConfigError, TypeError, KeyError) as error:
        raise FormatError(
            f"{path} is damaged: expected the settings and arrays of a {kind.__name__}, got: {error}"
        ) from error
    tokenizer._dim = described["dim"]
    notes = described.get("notes", [])
    tokenizer.notes = tuple(map(str, notes)) if isinstance(notes, list) else ()
    if tokenizer.fingerprint != described["fingerprint"]:
        raise FormatError(
            f"{path} is damaged: expected arrays with the fingerprint {described['fingerprint']}, got "
            f"{tokenizer.fingerprint}."
        )
    return tokenizer
