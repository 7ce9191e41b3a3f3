"""Run and qrels files of TREC, which `trec_eval` and `ir_measures` read."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from sidkit._files import write_text
from sidkit.errors import DataError
from sidkit.search.collection.tables import Collection

__all__ = ["read_trec_run", "write_trec_qrels", "write_trec_run"]


def write_trec_run(
    path: str | os.PathLike[str],
    query_ids: Sequence[Any],
    ids: npt.NDArray[Any],
    scores: npt.NDArray[np.floating],
    tag: str,
) -> None:
    """Write ranked lists: one line `query Q0 document rank score tag` per document, atomically.

    `trec_eval` ignores the rank and sorts by score. Equal scores of a list are therefore written as the next
    lower float32 numbers, so that the order is kept.

    Args:
        path: the file.
        query_ids: ids of the m queries.
        ids: document ids (m, k), best first; entries with the score -inf are padding.
        scores: float (m, k), in descending order.
        tag: name of the system.

    Raises:
        DataError: if an id or the tag contains white space, which the format cannot hold.
    """
    lines = []
    _check_words(query_ids, "query id")
    _check_words([tag], "tag")
    for query, found, values in zip(query_ids, ids, scores, strict=True):
        kept = np.flatnonzero(values > -np.inf)
        _check_words(found[kept].tolist(), "document id")
        previous = np.float32(np.inf)
        for rank, place in enumerate(kept.tolist(), 1):
            score = np.float32(values[place])
            if score >= previous:
                score = np.nextafter(previous, np.float32(-np.inf))
            previous = score
            lines.append(f"{query} Q0 {found[place]} {rank} {float(score)!r} {tag}\n")
    write_text(path, "".join(lines))


def write_trec_qrels(path: str | os.PathLike[str], collection: Collection, split: str) -> None:
    """Write the relevance labels of one split: one line `query 0 document relevance` per label."""
    queries, documents = collection.split(split), collection.doc_ids.to_list()
    _check_words([*queries.query_ids, *documents], "id")
    names = queries.query_ids.to_list()
    labels = zip(
        queries.query_rows.tolist(), queries.doc_rows.tolist(), queries.relevance.tolist(), strict=True
    )
    write_text(path, "".join(f"{names[query]} 0 {documents[doc]} {level}\n" for query, doc, level in labels))


def read_trec_run(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Read a run file: `query_id`, `doc_id`, `rank` (Int64), `score` (Float64), `tag`.

    Raises:
        DataError: if the file is missing or a line has another form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise DataError(f"`{path}` is not a readable run file: {error}. Write it again.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        parts = line.split()
        try:
            query, _, document, rank, score, tag = parts
            rows.append((query, document, int(rank), float(score), tag))
        except ValueError:
            raise DataError(
                f"line {number} of `{path}` is invalid: expected `query Q0 document rank score tag`, got "
                f"{line[:80]!r}. Correct the file."
            ) from None
    schema = {
        "query_id": pl.String,
        "doc_id": pl.String,
        "rank": pl.Int64,
        "score": pl.Float64,
        "tag": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _check_words(values: Sequence[Any], kind: str) -> None:
    for value in values:
        if str(value).split() != [str(value)]:
            raise DataError(
                f"a {kind} cannot be written to a TREC file: expected no white space, got {value!r}. "
                "Rename it."
            )
