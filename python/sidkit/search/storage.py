"""Retrievers on disk: JSON, Parquet and safetensors in one directory; nothing is unpickled."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from sidkit._files import atomic_directory, sha256_of, write_text
from sidkit._settings import check_arguments
from sidkit._tables import read_parquet
from sidkit.errors import FormatError
from sidkit.search.registry import RETRIEVERS

__all__ = [
    "build",
    "load_retriever",
    "read_description",
    "read_documents",
    "saved",
    "write_documents",
]

DESCRIPTION, ARRAYS, DOCUMENTS = "retriever.json", "retriever.safetensors", "documents.parquet"
_VERSION = 1


def load_retriever(path: str | Path) -> Any:
    """Load a retriever that `save` wrote, of any method.

    Args:
        path: its directory.

    Raises:
        FormatError: if a file is missing, truncated, or does not fit the others.
        ConfigError: if the method is unknown, such as that of a plug-in that is not installed.
    """
    return RETRIEVERS[read_description(Path(path))["method"]].load(path)


@contextmanager
def saved(path: str | Path, method: str, settings: dict[str, Any]) -> Iterator[Path]:
    """Yield a temporary directory that replaces `path` at the end, with a description of its files.

    Raises:
        NotADirectoryError: if there is a file at `path`.
        FileExistsError: if there is a directory at `path` that holds something other than a retriever.
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"`{target}` is a file: expected a directory for the retriever")
    if target.is_dir() and any(target.iterdir()) and not (target / DESCRIPTION).is_file():
        raise FileExistsError(f"`{target}` holds other files: expected a new directory for the retriever")
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(target) as files:
        yield files
        written = sorted(each.relative_to(files).as_posix() for each in files.rglob("*") if each.is_file())
        described = {
            "version": _VERSION,
            "method": method,
            "settings": settings,
            "files": {name: sha256_of(files / name) for name in written},
        }
        write_text(files / DESCRIPTION, json.dumps(described, indent=2) + "\n")


def read_description(path: Path, method: str | None = None) -> dict[str, Any]:
    """Read and check the description of a saved retriever and the digests of its files.

    Raises:
        FormatError: if a file is missing, damaged, or of another version or method.
    """
    file = path / DESCRIPTION
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        values = described["version"], described["method"], described["settings"], described["files"]
        kinds = (int, str, dict, dict)
        if not all(isinstance(value, kind) for value, kind in zip(values, kinds, strict=True)):
            raise TypeError("a value has the wrong type")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(
            f"`{file}` does not describe a retriever ({error!r}): expected a directory that `save` wrote."
        ) from error
    if described["version"] != _VERSION:
        raise FormatError(
            f"`{file}` has another version: expected {_VERSION}, got {described['version']}. Fit it again."
        )
    if method is not None and described["method"] != method:
        raise FormatError(
            f"`{file}` describes another retriever: expected `{method}`, got `{described['method']}`. "
            "Use `load_retriever` for a retriever of any method."
        )
    for name, digest in described["files"].items():
        if not (path / name).is_file() or sha256_of(path / name) != digest:
            raise FormatError(
                f"`{path / name}` is missing or damaged: expected the SHA-256 of `{DESCRIPTION}`. "
                "Save the retriever again."
            )
    return described  # type: ignore[no-any-return]


def build(cls: type[Any], described: dict[str, Any], path: Path) -> Any:
    """Make an unfitted retriever from its settings.

    Raises:
        FormatError: if they are not the settings of the class.
    """
    try:
        built = cls(**described["settings"])
        check_arguments(built)
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"`{path / DESCRIPTION}` does not describe a retriever of this version: {error}. Fit it again."
        ) from error
    return built


def write_documents(path: Path, documents: pl.DataFrame) -> None:
    """Write ids and titles of documents."""
    documents.write_parquet(path / DOCUMENTS)


def read_documents(path: Path) -> pl.DataFrame:
    """Read ids and titles of documents.

    Raises:
        FormatError: if the file is missing or damaged.
    """
    try:
        table = read_parquet(path / DOCUMENTS)
        return table.select("doc_id", "title")
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FormatError(
            f"`{path / DOCUMENTS}` holds no documents of a retriever: {error}. Fit it again."
        ) from error
