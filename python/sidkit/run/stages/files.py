"""Names of the files in a run directory, and how vectors are written."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from sidkit._files import UNSEALED, atomic_path, seal, sha256_of
from sidkit.data import DATASETS

__all__ = [
    "EMBEDDINGS",
    "INDEX",
    "METRICS",
    "REPORT",
    "SIDS",
    "TOKENIZED",
    "TOKENIZER",
    "model_path",
    "save_vectors",
    "source_files",
]

EMBEDDINGS = "embeddings.safetensors"
TOKENIZED = "quantized.safetensors"
TOKENIZER = "tokenizer.safetensors"
SIDS = "sids.parquet"
INDEX = "index.sidx"
METRICS = "metrics.json"
REPORT = "report.html"

_TABLES = ("interactions.parquet", "interactions.csv", "items.parquet", "items.csv")


def model_path(name: str) -> str:
    """Return the directory of a trained recommender, relative to that of the run."""
    return f"models/{name}"


def save_vectors(path: Path, vectors: npt.NDArray[np.float32]) -> None:
    """Write vectors, whole or not at all."""
    with atomic_path(path) as temporary:
        save_file({"embeddings": vectors}, temporary, UNSEALED)
        seal(temporary)


def source_files(source: str) -> dict[str, str]:
    """Return the digests of the files of a dataset; a built-in one is pinned by its name and has none."""
    if source in DATASETS:
        return {}
    tables = [Path(source) / name for name in _TABLES]
    return {path.name: sha256_of(path) for path in tables if path.is_file()}
