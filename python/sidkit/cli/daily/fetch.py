"""`sidkit fetch`: a built-in dataset, downloaded and checked."""

from typing import Annotated

import typer

from sidkit.data import fetch, load_dataset, statistics

__all__ = ["command"]


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A built-in dataset such as `ml-100k`.")],
) -> None:
    """Download a built-in dataset, check it, and keep it for later runs.

    For example:
    `sidkit fetch ml-100k`
    """
    directory = fetch(name)
    facts = statistics(load_dataset(name))
    typer.echo(
        f"{facts.name}: {facts.users:,} users, {facts.items:,} items, {facts.interactions:,} interactions\n"
        f"{directory}"
    )
