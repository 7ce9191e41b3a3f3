"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Columns",
    "ConfigFile",
    "Force",
    "Model",
    "Out",
    "Preset",
    "RunPath",
    "Scoring",
    "Settings",
    "Source",
]

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A built-in dataset such as `ml-100k`, a directory with `interactions` and `items`, or a run.",
    ),
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Out = Annotated[
    Path | None, typer.Option("--out", help="The run directory; by default `runs/<name of the source>`.")
]
Preset = Annotated[str | None, typer.Option("--preset", help="Settings to start from: `demo` or `paper`.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="A TOML file of settings, which override the preset.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="One setting, which overrides all others; may be repeated."
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME=COLUMN,...",
        help="Columns of the files by the name that sidkit uses, such as `user_id=reviewerID,item_id=asin`.",
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Run finished stages again if their settings or data have changed.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Name of a trained model of the run; by default a generative one, `rqtransformer` first.",
    ),
]
Scoring = Annotated[
    str | None,
    typer.Option(
        "--scoring",
        help="How the model ranks: `sid`, and for RQTransformer `exact` or `fused`.",
    ),
]
