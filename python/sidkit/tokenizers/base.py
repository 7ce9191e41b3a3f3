"""The contract of all tokenizers: vectors in, codes out, and back."""

import hashlib
import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.tokenizers.parts.files import read_tokenizer, write_tokenizer
from sidkit.tokenizers.parts.magnitude import check_learnable
from sidkit.tokenizers.quality.report import warn_of_collapse

__all__ = ["Progress", "Tokenizer", "load_tokenizer"]

#: Called as `progress(done, total, figures)` while `fit` works: steps done, steps in all, what was measured
#: last.
Progress: TypeAlias = Callable[[int, int, Mapping[str, float]], None]

Vectors: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.uint16]
State: TypeAlias = dict[str, npt.NDArray[Any]]

#: As many as the layout of a Semantic ID may have.
_MOST_LEVELS = 128

_Tokenizer = TypeVar("_Tokenizer", bound="Tokenizer")
_KINDS: dict[str, type["Tokenizer"]] = {}


class Tokenizer(ABC):
    """Turns vectors into codes, the tokens of Semantic IDs before collisions are settled.

    The constructor stores settings, `fit` works, and what it has learned ends in an underscore. The same
    settings and data give the same codes; the same vector gets the same codes in any batch, on any number of
    threads.

    A new kind of tokenizer names its `kind` and implements `_fit`, `_encode`, `_decode`, `_alternatives`,
    `_state` and `_restore`; its constructor calls `_keep_shape`, or it gives `codebook_sizes` itself. Checks, files
    and warnings are here, and one test suite holds for all kinds.
    """

    #: The name in files and configurations.
    method: ClassVar[str]

    #: Whether codes that are used unevenly are a sign of a bad fit, of which `fit` warns.
    even: ClassVar[bool] = True
    #: What the training noticed and did about codebooks that collapsed; also in files and quality reports.
    notes: tuple[str, ...] = ()

    levels: int
    codebook_size: int | list[int]
    _sizes: tuple[int, ...]
    _dim: int | None = None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if not inspect.isabstract(cls) and "method" in cls.__dict__:
            _KINDS[cls.method] = cls

    def __repr__(self) -> str:
        changed = [
            f"{name}={value!r}" for name, value in self.settings().items() if value != self._default(name)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

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
            raise NotFittedError(
                f"this {type(self).__name__} has not learned anything yet; hint: call fit(x) first"
            )
        return self._dim

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters of everything that determines the codes; equal ones encode equally."""
        digest = hashlib.blake2b(f"{self.method} {self.dim}".encode(), digest_size=16)
        for name, array in sorted(self._state().items()):
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def fit(
        self: _Tokenizer,
        x: npt.ArrayLike,
        *,
        progress: Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> _Tokenizer:
        """Learn from vectors.

        Args:
            x: float (n, dim), within ±1e36, at least as many rows as the largest level has codes.
            progress: called now and then with the work done, the work in all, and figures.
            checkpoint: a file where a long training leaves its state now and then and when it is
                interrupted, and from where the same `fit` goes on; deleted at the end. Kinds that are quick
                to learn do without.

        Returns:
            The tokenizer itself.

        Raises:
            DataError: if `x` is not such an array.
            FormatError: if the checkpoint is of other settings or data, or damaged.

        Warns:
            CodebookCollapseWarning: if a level uses few of its codes.
        """
        vectors = check_vectors(x)
        if not len(vectors):
            raise DataError("there are no vectors to learn from; hint: one row an item")
        if len(vectors) < max(self.codebook_sizes):
            raise DataError(
                f"a level of {max(self.codebook_sizes)} codes cannot be learned from {len(vectors)} vectors; "
                f"hint: codebook_size={max(1, len(vectors) // 4)} or less"
            )
        check_learnable(vectors)
        self._fit(vectors, progress, checkpoint)
        self._dim = vectors.shape[1]
        if self.even:
            warn_of_collapse(self._encode(vectors), self.codebook_sizes, type(self).__name__)
        return self

    def encode(self, x: npt.ArrayLike) -> Codes:
        """Codes, uint16 (n, levels), of vectors, float (n, dim).

        Raises:
            NotFittedError: before `fit`.
            DataError: if `x` is not finite or so large that its latents are not, or does not have the
                dimensions learned from.
        """
        return self._encode(check_vectors(x, self.dim))

    def decode(self, codes: npt.ArrayLike) -> Vectors:
        """Vectors, float32 (n, dim), that codes, integers (n, levels), stand for.

        Codes of the first levels only give the coarser vectors those levels stand for.

        Raises:
            NotFittedError: before `fit`.
            DataError: if there are no or too many levels, or a code is not below its level's size.
        """
        dim = self.dim
        return self._decode(self._checked(codes)).reshape(-1, dim)

    def alternatives(self, x: npt.ArrayLike, count: int = 64) -> Codes:
        """The nearest codes of vectors, best first: uint16 (n, choices, levels), at most `count` choices.

        Feeds the collision policy `reassign`.

        Raises:
            NotFittedError: before `fit`.
            DataError: if `x` is not finite or so large that its latents are not, or does not have the
                dimensions learned from.
            ConfigError: if `count` is less than 1.
        """
        if count < 1:
            raise ConfigError(f"count must be at least 1, not {count}")
        return self._alternatives(check_vectors(x, self.dim), count)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer to a safetensors file, whole or not at all.

        Raises:
            NotFittedError: before `fit`.
        """
        described = {
            "method": self.method,
            "dim": self.dim,
            "settings": self.settings(),
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
        }
        write_tokenizer(path, described, self._state())

    @classmethod
    def load(cls: type[_Tokenizer], path: str | os.PathLike[str]) -> _Tokenizer:
        """Read a tokenizer of this kind that `save` wrote; for any kind, see `load_tokenizer`.

        Raises:
            FileNotFoundError: if there is no such file.
            FormatError: if the file is truncated, foreign, damaged or of another kind.
        """
        tokenizer = load_tokenizer(path)
        if not isinstance(tokenizer, cls):
            raise FormatError(
                f"{path} holds a tokenizer of kind `{tokenizer.method}`, not a {cls.__name__}; "
                "hint: load_tokenizer(path) reads any kind"
            )
        return tokenizer

    def _keep_shape(self, levels: int, codebook_size: int | Sequence[int]) -> None:
        """Store the settings `levels` and `codebook_size`, or raise ConfigError if they are senseless."""
        self._sizes = check_sizes(levels, codebook_size)
        # As plain integers, which files can hold.
        self.levels = len(self._sizes)
        self.codebook_size = list(self._sizes) if isinstance(codebook_size, Iterable) else self._sizes[0]

    def _checked(self, codes: npt.ArrayLike) -> Codes:
        """Codes of the first one or more levels, uint16, or DataError as `decode` has it."""
        array = np.asarray(codes)
        if (
            array.ndim != 2
            or array.dtype.kind not in "iu"
            or not 1 <= array.shape[1] <= len(self.codebook_sizes)
        ):
            raise DataError(
                f"codes must be integers (n, 1 to {len(self.codebook_sizes)}), not {array.dtype} {array.shape}"
            )
        wrong = np.argwhere((array < 0) | (array >= np.asarray(self.codebook_sizes[: array.shape[1]])))
        if len(wrong):
            row, level = (int(part) for part in wrong[0])
            raise DataError(
                f"the code of row {row} at level {level} is {array[row, level]}, "
                f"but that level has {self.codebook_sizes[level]} codes"
            )
        return np.ascontiguousarray(array, dtype=np.uint16)

    @classmethod
    def _default(cls, name: str) -> Any:
        return inspect.signature(cls).parameters[name].default

    @abstractmethod
    def _fit(self, x: Vectors, progress: Progress | None, checkpoint: str | os.PathLike[str] | None) -> None:
        """Learn from checked vectors."""

    @abstractmethod
    def _encode(self, x: Vectors) -> Codes:
        """Encode checked vectors."""

    @abstractmethod
    def _decode(self, codes: Codes) -> Vectors:
        """Decode checked codes of the first one or more levels."""

    @abstractmethod
    def _alternatives(self, x: Vectors, count: int) -> Codes:
        """At most `count` distinct codes for each checked vector, best first."""

    @abstractmethod
    def _state(self) -> State:
        """What was learned, as named arrays."""

    @abstractmethod
    def _restore(self, state: State, dim: int) -> None:
        """Take over what `_state` gave, or raise FormatError if it does not fit the settings."""


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read a tokenizer of any kind from a file that its `save` wrote. Nothing is unpickled.

    Raises:
        FileNotFoundError: if there is no such file.
        FormatError: if the file is truncated, foreign, damaged, or of a kind this sidkit does not know.
    """
    described, state = read_tokenizer(path)
    kind = _KINDS.get(described["method"])
    if kind is None:
        raise FormatError(
            f"{path} holds a tokenizer of the unknown kind `{described['kind']}`; "
            f"known: {', '.join(sorted(_KINDS))}"
        )
    try:
        tokenizer = kind(**described["settings"])
        tokenizer._restore(state, described["dim"])
    except (ConfigError, TypeError, KeyError) as error:
        raise FormatError(
            f"{path} holds settings or arrays that do not make a {kind.__name__}: {error}"
        ) from error
    tokenizer._dim = described["dim"]
    notes = described.get("notes", [])
    tokenizer.notes = tuple(map(str, notes)) if isinstance(notes, list) else ()
    if tokenizer.fingerprint != described["fingerprint"]:
        raise FormatError(
            f"{path} is damaged: its arrays do not have the fingerprint {described['fingerprint']}"
        )
    return tokenizer


def check_vectors(x: npt.ArrayLike, dim: int | None = None) -> Vectors:
    """Return `x` as C-contiguous float32 (n, dim), or raise DataError if it is not finite vectors."""
    array = np.asarray(x)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(f"vectors must be a float array (n, dim), not {array.dtype} {array.shape}")
    if array.shape[1] != (dim or array.shape[1]) or not array.shape[1]:
        raise DataError(f"vectors must have {dim or 'some'} dimensions, not {array.shape[1]}")
    with np.errstate(over="ignore"):  # what overflows float32 becomes infinite, and is refused below
        vectors = np.ascontiguousarray(array, dtype=np.float32)
    # A sum is not finite if an entry is not, and is far cheaper to look at.
    suspects = np.flatnonzero(~np.isfinite(vectors.sum(axis=1, dtype=np.float64)))
    if len(suspects):
        row = int(suspects[0])
        column = int(np.argmin(np.isfinite(vectors[row])))
        raise DataError(
            f"vectors must be finite float32, but row {row} has {array[row, column]} at dimension {column}"
        )
    return vectors


def check_sizes(levels: int, codebook_size: int | Sequence[int]) -> tuple[int, ...]:
    """Codewords per level from the settings `levels` and `codebook_size`, or raise ConfigError if they are senseless."""
    if not isinstance(levels, (int, np.integer)) or not 1 <= levels <= _MOST_LEVELS:
        raise ConfigError(f"levels must be an integer in 1..{_MOST_LEVELS}, not {levels!r}")
    sizes = tuple(codebook_size) if isinstance(codebook_size, Iterable) else (codebook_size,) * int(levels)
    if len(sizes) != levels:
        raise ConfigError(
            f"codebook_size has {len(sizes)} sizes for {levels} levels; hint: one number, or one a level"
        )
    if not all(isinstance(size, (int, np.integer)) and 1 <= size <= 65536 for size in sizes):
        raise ConfigError(f"codebook_size must be integers in 1..65536, not {codebook_size!r}")
    return tuple(int(size) for size in sizes)
