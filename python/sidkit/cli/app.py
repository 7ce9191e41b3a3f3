"""The command-line application: its options, and its verbs, which are imported when they are used."""

import os
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from sidkit._core import __version__

__all__ = ["VERBS", "app"]

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_DAILY, _RESEARCH = "Daily use", "Research"


class Verb(NamedTuple):
    """A command: its help panel, and its line in the list of commands."""

    panel: str
    summary: str

    @property
    def package(self) -> str:
        """Package of the module that implements it."""
        return f"sidkit.cli.{'daily' if self.panel == _DAILY else 'research'}"


VERBS = {
    "run": Verb(_DAILY, "Run every stage, from data to report."),
    "fetch": Verb(_DAILY, "Download a built-in dataset and check it."),
    "embed": Verb(_DAILY, "Run a pipeline up to the item vectors."),
    "tokenize": Verb(_DAILY, "Run a pipeline up to the Semantic IDs, or append items to a run."),
    "train": Verb(_DAILY, "Run a pipeline up to the trained models."),
    "evaluate": Verb(_DAILY, "Run a pipeline up to the metrics of every model."),
    "recommend": Verb(_DAILY, "Recommend items to a user, or after a history."),
    "serve": Verb(_DAILY, "Serve a model over HTTP, with an explorer."),
    "search": Verb(_DAILY, "Search the documents of a run."),
    "export": Verb(_DAILY, "Export the encoder of a model as ONNX."),
    "inspect": Verb(_DAILY, "Show the stages, trainings and Semantic IDs of a run."),
    "report": Verb(_DAILY, "Show the results of a run, or compare several runs."),
    "rank": Verb(_RESEARCH, "Compare Semantic IDs with hashed ids as features of a ranking model."),
    "sweep": Verb(_RESEARCH, "Vary tokenizer, levels and codebook size for a ranking model."),
    "drift": Verb(_RESEARCH, "Compare tokenizers of earlier and later items."),
    "tokenizers": Verb(_RESEARCH, "Compare all tokenizers by the same generative model."),
    "tune": Verb(_RESEARCH, "Search for good settings of a model."),
    "beams": Verb(_RESEARCH, "Compare beam widths of a generative model."),
    "frontier": Verb(_RESEARCH, "Draw accuracy against diversity and popularity of re-ranked lists."),
    "align": Verb(_RESEARCH, "Train a model further towards a reward."),
    "store": Verb(_RESEARCH, "Store the results of runs for tables in documents."),
}


class _Verbs(TyperGroup):
    """A group that lists its commands without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, verb in VERBS.items():
            self.commands[name] = TyperCommand(name, help=verb.summary, rich_help_panel=verb.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        return name, None if command is None else _loaded(str(name)), rest


def _loaded(name: str) -> Any:
    module = import_module(f"{VERBS[name].package}.{name}")
    alone = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings=_CONTEXT,
    )
    alone.command(name, no_args_is_help=True)(module.command)
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings=_CONTEXT,
)


def _version(requested: bool) -> None:
    if requested:
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
