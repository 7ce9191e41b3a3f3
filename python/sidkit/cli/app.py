"""The application: what all verbs share, and their list."""

import os
from typing import Annotated

import typer

from sidkit import __version__
from sidkit.cli import (
    beams,
    drift,
    embed,
    evaluate,
    fetch,
    inspect,
    rank,
    recommend,
    report,
    run,
    store,
    sweep,
    tokenize,
    tokenizers,
    train,
    tune,
)

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sidkit {__version__}")
        raise typer.Exit


@app.callback()
def sidkit(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Semantic IDs: learn them, generate with them, rank with them.

    Start with: `sidkit run ml-100k --preset demo`
    """
    if debug:
        os.environ["SIDKIT_DEBUG"] = "1"


for verb in (
    fetch,
    run,
    embed,
    tokenize,
    train,
    evaluate,
    recommend,
    rank,
    sweep,
    drift,
    inspect,
    report,
    store,
    beams,
    tokenizers,
    tune,
):
    app.command(verb.NAME, no_args_is_help=True)(verb.command)
