"""`sidkit fetch`: a built-in data set onto this machine."""

from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "fetch"


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A built-in data set such as `ml-100k`.")],
) -> None:
    """Fetch a built-in data set, check it, and keep it for later runs.

    For example:
    `sidkit fetch ml-100k`
    """
    from sidkit.data import fetch, load_dataset, statistics

    folder = fetch(name)
    facts = statistics(load_dataset(name))
    typer.echo(
        f"{facts.name}: {facts.users:,} users, {facts.items:,} items, {facts.interactions:,} interactions\n"
        f"{folder}"
    )
