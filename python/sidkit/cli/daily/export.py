"""`sidkit export`: parts of a model in other formats."""

from pathlib import Path
from typing import Annotated

import typer

from sidkit._extras import require
from sidkit.errors import ConfigError
from sidkit.recommenders import load_model

__all__ = ["command"]


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    to: Annotated[str, typer.Option("--to", help="Format: `onnx`, the encoder of histories.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; by default `encoder.onnx` in the directory.")
    ] = None,
) -> None:
    """Export the encoder of histories of RQTransformer (with GRUs) or GRU4Rec as an ONNX file.

    For example:

    `sidkit export shop-model --to onnx --out encoder.onnx`
    """
    if to != "onnx":
        raise ConfigError(f"`--to` is invalid: expected `onnx`, got `{to}`. Correct it.")
    require("onnx", extra="onnx")
    from sidkit.serve.onnx_encoder import export_encoder

    target = model / "encoder.onnx" if out is None else out
    export_encoder(load_model(model), target)
    typer.echo(f"wrote {target}")
