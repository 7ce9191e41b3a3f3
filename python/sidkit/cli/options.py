"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["ConfigFile", "Force", "Model", "Out", "Preset", "RunPath", "Settings", "Source"]

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A built-in data set such as `ml-100k`, a folder with `interactions` and `items`, or a run.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="The run directory; `runs/<name of the source>` if not given.")
]
Preset = Annotated[str | None, typer.Option("--preset", help="Settings to start from: `demo` or `paper`.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="A TOML file of settings, over the preset.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting, over all others; may be repeated."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Run finished stages again whose settings or data have changed.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="`rqtransformer`, `tiger`, `actionpiece`, `decoderonly`, `sasrec`, `gru4rec` or `popularity`; "
        "with a dense head also `rqtransformer-dense` and `rqtransformer-fused`.",
    ),
]
