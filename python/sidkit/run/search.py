"""Runs over document collections: fit retrievers, evaluate them, and keep everything in one directory."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sidkit._files import sha256_of, write_text
from sidkit.errors import ConfigError, FormatError, RunDirectoryError
from sidkit.evaluate.machine import machine_facts, version_facts
from sidkit.report.html.search import write_search_page
from sidkit.search import (
    RETRIEVERS,
    Collection,
    Retriever,
    SearchEvaluation,
    load_collection,
    load_retriever,
    write_trec_run,
)
from sidkit.search.base import ids_of_rows

__all__ = ["SearchRun", "is_search_run", "open_search_run", "run_search"]

METHODS = ("bm25", "dense", "sid", "hybrid")

_MANIFEST, _METRICS = "search.json", "metrics.json"
_DEPTH = 100


@dataclass(frozen=True, eq=False)
class SearchRun:
    """A finished run over a document collection.

    Attributes:
        path: its directory.
        source: directory of the collection.
        methods: fitted retrievers, the main one last.
        settings: settings of retrievers by method, and seed, as given.
        metrics: contents of `metrics.json`; empty if the collection has no queries to evaluate.
    """

    path: Path
    source: Path
    methods: tuple[str, ...]
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @cached_property
    def collection(self) -> Collection:
        """The collection of the run."""
        return load_collection(self.source)

    def retriever(self, method: str | None = None) -> Retriever:
        """Load a retriever; by default the last of `methods`.

        Raises:
            ConfigError: if the run has no such retriever.
        """
        name = self.methods[-1] if method is None else method
        if name not in self.methods:
            raise ConfigError(
                f"`{self.path}` has no such retriever: expected one of {', '.join(self.methods)}, "
                f"got `{name}`. Correct the name."
            )
        retriever: Retriever = load_retriever(self.path / "retrievers" / name)
        return retriever


def is_search_run(path: str | Path) -> bool:
    """Return True if a directory holds a run over a document collection."""
    return (Path(path) / _MANIFEST).is_file()


def open_search_run(path: str | Path) -> SearchRun:
    """Open a finished run.

    Raises:
        RunDirectoryError: if there is none, or it is not finished.
        FormatError: if one of its files is damaged.
    """
    directory = Path(path)
    if not is_search_run(directory):
        raise RunDirectoryError(
            f"`{directory}` is not a run over documents: expected `{_MANIFEST}` in it, got none. "
            "Make it with `sidkit run`."
        )
    manifest = _read(directory / _MANIFEST)
    missing = [name for name in manifest["methods"] if not (directory / "retrievers" / name).is_dir()]
    if missing:
        raise RunDirectoryError(
            f"`{directory}` is not finished: expected {', '.join(manifest['methods'])}, got no "
            f"{', '.join(missing)}. Continue it with `sidkit run {manifest['source']} --out {directory}`."
        )
    metrics = _read(directory / _METRICS) if (directory / _METRICS).is_file() else {}
    return _run(directory, manifest, metrics)


def run_search(
    source: str | Path,
    out: str | Path,
    *,
    methods: Sequence[str] = METHODS,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    force: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> SearchRun:
    """Fit retrievers on a document collection and evaluate them on its test queries.

    Validation queries are evaluated where there are no test queries. Retrievers that are in the directory
    already are not fitted again. Writes `retrievers/`, `runs/<method>.trec`, `metrics.json`, `report.html`
    and `vectors/`, the cache of text vectors.

    Args:
        source: directory of a collection, see `load_collection`.
        out: the run directory.
        methods: retrievers by method; the last one is the main one.
        settings: settings of retrievers by method.
        seed: seed of retrievers that have one and whose settings do not name it.
        force: fit again if settings or data have changed.
        on_step: called with a description of every step.

    Raises:
        ConfigError: if there is no such method, or a setting is invalid.
        DataError: if the collection is invalid.
        RunDirectoryError: if the directory holds a run with other settings or data.
    """
    directory, given = Path(out), settings or {}
    manifest = {
        "source": str(Path(source).resolve()),
        "data": _digest(Path(source)),
        "methods": list(methods),
        "settings": {name: dict(given.get(name, {})) for name in methods},
        "seed": seed,
    }
    built = {name: _built(name, given.get(name, {}), seed, directory / "vectors") for name in methods}
    unknown = sorted(set(given) - set(methods))
    if unknown or not built:
        raise ConfigError(
            f"the run has no retriever `{', '.join(unknown)}`: expected settings of {', '.join(methods)}. "
            "Correct the name, or add it to the methods."
        )
    _begin(directory, manifest, force)
    collection = load_collection(source)
    on_step(repr(collection))
    seconds: dict[str, float] = {}
    for name, retriever in built.items():
        place = directory / "retrievers" / name
        if not place.is_dir():
            on_step(f"fit {name}")
            start = time.perf_counter()
            retriever.fit(collection).save(place)
            seconds[name] = time.perf_counter() - start
    metrics = _evaluated(directory, collection, methods, seconds, on_step)
    return _run(directory, manifest, metrics)


def _run(directory: Path, manifest: Mapping[str, Any], metrics: Mapping[str, Any]) -> SearchRun:
    settings = {"settings": manifest["settings"], "seed": manifest["seed"]}
    return SearchRun(directory, Path(manifest["source"]), tuple(manifest["methods"]), settings, metrics)


def _built(name: str, settings: Mapping[str, Any], seed: int, cache: Path) -> Retriever:
    cls = RETRIEVERS[name]
    known = cls._signature()
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ConfigError(
            f"`{name}` has no setting `{unknown[0]}`: expected one of {', '.join(known)}. Correct the name."
        )
    shared = {"seed": seed, "cache": str(cache)}
    defaults = {key: value for key, value in shared.items() if key in known}
    retriever: Retriever = cls(**{**defaults, **settings})
    return retriever


def _begin(directory: Path, manifest: Mapping[str, Any], force: bool) -> None:
    file = directory / _MANIFEST
    if file.is_file():
        former = _read(file)
        changed = [name for name in manifest if manifest[name] != former.get(name) and name != "source"]
        if changed and not force:
            raise RunDirectoryError(
                f"`{directory}` holds a run with other {', '.join(changed)}: expected the same. "
                "Use another --out to keep it, or --force to replace it."
            )
        if changed:
            for name in former.get("methods", []):
                _remove(directory / "retrievers" / str(name))
    elif directory.is_dir() and any(directory.iterdir()):
        raise RunDirectoryError(
            f"`{directory}` holds other files: expected a new directory. Choose another with --out."
        )
    directory.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(manifest, indent=2) + "\n")


def _remove(place: Path) -> None:
    if place.is_dir():
        for each in sorted(place.rglob("*"), reverse=True):
            each.rmdir() if each.is_dir() else each.unlink()
        place.rmdir()


def _evaluated(
    directory: Path,
    collection: Collection,
    methods: Sequence[str],
    seconds: Mapping[str, float],
    on_step: Callable[[str], None],
) -> dict[str, Any]:
    """Evaluate all retrievers, and write metrics and TREC run files."""
    split = next((each for each in ("test", "validation") if each in collection.splits), None)
    if split is None:
        on_step("nothing to evaluate: the collection has no test or validation queries")
        return {}
    queries = collection.split(split)
    found, lists = {}, {}
    for name in methods:
        on_step(f"evaluate {name}")
        retriever = load_retriever(directory / "retrievers" / name)
        rows, scores = retriever.search_rows(queries.texts, min(_DEPTH, len(collection)))
        ids = ids_of_rows(collection.doc_ids, rows)
        write_trec_run(directory / "runs" / f"{name}.trec", queries.query_ids.to_list(), ids, scores, name)
        found[name], lists[name] = SearchEvaluation.of(name, rows, queries), rows
    baselines = [name for name in methods if name in ("bm25", "dense")]
    best = max(baselines, key=lambda name: found[name]["ndcg@10"], default=None)
    metrics = {
        "format": "sidkit-search-metrics",
        "collection": collection.name,
        "documents": len(collection),
        "evaluated_on": split,
        "queries": len(queries),
        "results": {name: each.as_dict()["metrics"] for name, each in found.items()},
        "comparisons": [
            {"model": name, "baseline": best, **vars(found[name].compare(found[best]))}
            for name in methods
            if best is not None and name != best
        ],
        "seconds": dict(seconds),
        "machine": machine_facts(),
        "versions": version_facts(),
    }
    write_text(directory / _METRICS, json.dumps(metrics, indent=2) + "\n")
    write_search_page(directory / "report.html", metrics, collection, queries, lists)
    return metrics


def _digest(source: Path) -> str:
    """Digest the files of a collection."""
    digest = hashlib.sha256()
    for path in sorted([*source.glob("*.*"), *source.glob("qrels/*")]):
        if path.is_file():
            digest.update(f"{path.relative_to(source).as_posix()} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it is no object")
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(f"`{path}` is damaged: {error}. Run it again with --force.") from error
    return found
