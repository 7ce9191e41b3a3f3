"""The inference file of a saved model."""

import json
from pathlib import Path

from sidkit.errors import ConfigError, FormatError

__all__ = ["INFERENCE", "inference_file"]

#: Name of the file in the directory of a saved model.
INFERENCE = "inference.safetensors"
_DESCRIPTION = "model.json"
_METHODS = ("rqtransformer", "sasrec", "gru4rec")


def inference_file(path: Path) -> Path:
    """Return the inference file of a saved model, given its directory or the file.

    Raises:
        FileNotFoundError: if there is nothing at `path`.
        FormatError: if the directory holds no inference file.
        ConfigError: if the model is of a method without one.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no model at `{path}`: expected the directory of a saved model")
    if not path.is_dir():
        return path
    file = path / INFERENCE
    if file.exists():
        return file
    try:
        method = json.loads((path / _DESCRIPTION).read_text(encoding="utf-8"))["method"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"`{path}` is not a saved model ({error!r}): expected a directory that `save` wrote"
        ) from error
    if method not in _METHODS:
        raise ConfigError(
            f"`{method}` has no inference file: expected a model of {', '.join(_METHODS)}. Use "
            "`sidkit.load_model`."
        )
    raise FormatError(
        f"`{path}` has no `{INFERENCE}`: expected it beside the model. Write it with "
        f"`Session.export(sidkit.load_model(path), path)`."
    )
