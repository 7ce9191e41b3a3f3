"""`sidkit recommend`: the next items for a user or a history."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.options import Model, RunPath
from sidkit.errors import ConfigError

if TYPE_CHECKING:
    from sidkit.run.opened import Run

__all__ = ["NAME", "command"]

NAME = "recommend"


def command(
    run: RunPath,
    user: Annotated[str | None, typer.Option("--user", help="A user id of the data set.")] = None,
    history: Annotated[
        str | None, typer.Option("--history", metavar="A,B,C", help="Item ids, oldest first.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Items wanted.")] = 10,
    model: Model = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend items of the history too.")
    ] = False,
) -> None:
    """Recommend items to a user of the data set, or after any history.

    For example:

    `sidkit recommend runs/ml-100k --user 196`

    `sidkit recommend runs/ml-100k --history 50,172,181 -k 5 --model sasrec`
    """
    from sidkit.run.opened import open_run

    if (user is None) == (history is None):
        raise ConfigError("who is it for? give either --user U or --history A,B,C")
    opened = open_run(run, model=model)
    if user is not None:
        seen = opened.user_history(user)
        items, scores = opened.recommend_user(user, k=k, exclude_seen=not include_seen)
    else:
        seen = [part.strip() for part in (history or "").split(",") if part.strip()]
        items, scores = opened.recommend(seen, k=k, exclude_seen=not include_seen)
    console = Console(markup=False)
    if user is not None:
        console.print(_listed(opened, f"latest of {len(seen)} items of user {user}", seen[-5:]))
    if not items:
        console.print("nothing is left to recommend: the history holds every item (see --include-seen)")
        return
    console.print(_listed(opened, f"{opened.model} recommends", items, [f"{score:.3f}" for score in scores]))


def _listed(run: "Run", title: str, items: list[int | str], scores: list[str] | None = None) -> Table:
    from sidkit.report.markup import clean

    table = Table("item", "title", title=title, title_justify="left")
    if run.has_sids:
        table.add_column("sid")
    if scores is not None:
        table.add_column("score", justify="right")
    for place, item_id in enumerate(items):
        sid = [run.sid(item_id)] if run.has_sids else []
        table.add_row(
            clean(str(item_id)), clean(run.label(item_id)), *sid, *([] if scores is None else [scores[place]])
        )
    return table
