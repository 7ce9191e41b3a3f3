"""`sidkit recommend`: the next items for a user or a history."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sidkit.cli.engine import EngineOptions, check_alone, run_on_engine
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Model, RunPath, Scoring
from sidkit.errors import ConfigError, DataError
from sidkit.ids import ItemSet
from sidkit.report.markup import clean
from sidkit.run.opened import Run, open_run
from sidkit.scale import RecommendBatch

__all__ = ["command"]


@with_groups
def command(
    run: RunPath,
    engine: EngineOptions,
    user: Annotated[str | None, typer.Option("--user", help="A user id of the dataset.")] = None,
    history: Annotated[
        str | None, typer.Option("--history", metavar="A,B,C", help="Item ids, oldest first.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of items.")] = 10,
    model: Model = None,
    scoring: Scoring = None,
    exclude: Annotated[
        str | None,
        typer.Option(
            "--exclude", metavar="A,B,C", help="Item ids that are not recommended, or a file with one a line."
        ),
    ] = None,
    allow: Annotated[
        str | None,
        typer.Option(
            "--allow",
            metavar="A,B,C",
            help="Recommend only these item ids, or those of a file with one a line.",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="SQL",
            help="Recommend only items for which this condition on their columns is true.",
        ),
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Recommend items of the history too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of tables.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="With --engine: directory of the recommendations.")
    ] = None,
) -> None:
    """Recommend items to a user of the dataset, or after any history.

    With --engine, the first argument is a Parquet file or a directory of them, with the columns `user_id` and
    `history`.

    For example:

    `sidkit recommend runs/ml-100k --user 196`

    `sidkit recommend runs/ml-100k --history 50,172,181 -k 5 --model sasrec --json`

    `sidkit recommend runs/ml-100k --user 196 --exclude out-of-stock.txt`

    `sidkit recommend runs/ml-100k --user 196 --where "release_year >= 1990 AND title LIKE 'T%'"`

    `sidkit recommend histories/ --engine ray --using runs/ml-100k --out lists/`
    """
    if engine.given:
        check_alone(
            {
                "--user": user,
                "--history": history,
                "--exclude": exclude,
                "--allow": allow,
                "--where": where,
                "--json": as_json,
            }
        )
        if engine.using is None:
            raise ConfigError(
                "--engine needs a recommender: expected --using RUN or a saved model, got none. Name one."
            )
        function = RecommendBatch(
            engine.using, k=k, model=model, exclude_seen=not include_seen, scoring=scoring
        )
        run_on_engine(function, str(run), out, engine, batch_size=1024)
        return
    if out is not None:
        raise ConfigError("--out belongs to --engine. Leave it out, or name an engine.")
    if (user is None) == (history is None):
        raise ConfigError("who is it for? give either --user U or --history A,B,C")
    opened = open_run(run, model=model)
    options: dict[str, Any] = {
        "exclude_seen": not include_seen,
        "exclude": _chosen(opened, "--exclude", exclude),
        "allow": _allowed(opened, allow, where),
        "scoring": scoring,
    }
    if user is not None:
        seen = opened.user_history(user)
        found, scores = opened.recommend_users(user, k, **options)
    else:
        seen = _ids(opened, history or "")
        found, scores = opened.recommend(seen, k, **options)
    items = [
        item for item, score in zip(found.tolist(), scores.tolist(), strict=True) if score > -float("inf")
    ]
    if as_json:
        typer.echo(json.dumps(_as_json(opened, user, seen, items, scores.tolist(), scoring), indent=2))
        return
    _print(opened, user, seen, items, scores.tolist())


def _print(run: Run, user: str | None, seen: list[Any], items: list[Any], scores: list[float]) -> None:
    console = Console(markup=False)
    if user is not None:
        console.print(_listed(run, f"latest of {len(seen)} items of user {user}", seen[-5:]))
    if not items:
        console.print("nothing is left to recommend: every item is excluded (see --include-seen)")
        return
    console.print(_listed(run, f"{run.model} recommends", items, [f"{score:.3f}" for score in scores]))


def _listed(run: Run, title: str, items: list[Any], scores: list[str] | None = None) -> Table:
    table = Table("item", "title", title=title, title_justify="left")
    if run.has_sids:
        table.add_column("sid")
    if scores is not None:
        table.add_column("score", justify="right")
    for place, item_id in enumerate(items):
        sid = [run.sid(item_id)] if run.has_sids else []
        table.add_row(
            clean(str(item_id)), clean(run.title(item_id)), *sid, *([] if scores is None else [scores[place]])
        )
    return table


def _as_json(
    run: Run, user: str | None, seen: list[Any], items: list[Any], scores: list[float], scoring: str | None
) -> dict[str, Any]:
    return {
        "run": str(run.path),
        "model": run.model,
        "scoring": scoring or run.recommender().scorings[0],
        "user": user,
        "history": seen,
        "recommendations": [
            {
                "item_id": item_id,
                "title": run.title(item_id),
                "sid": run.sid(item_id) if run.has_sids else None,
                "score": score,
            }
            for item_id, score in zip(items, scores, strict=False)
        ],
    }


def _allowed(run: Run, allow: str | None, where: str | None) -> ItemSet | None:
    """Combine both options: an item must be listed and must meet the condition."""
    listed = _chosen(run, "--allow", allow)
    if where is None:
        return listed
    try:
        chosen = run.catalogue().where(where)
    except DataError as error:
        raise DataError(f"`--where`: {error}") from error
    return chosen if listed is None else listed & chosen


def _chosen(run: Run, option: str, text: str | None) -> ItemSet | None:
    """Return the items of an option, all of which must exist."""
    if text is None:
        return None
    ids, is_file = _parts(text)
    try:
        return run.catalogue().item_set(ids)
    except DataError as error:
        if is_file or len(ids) != 1:
            raise DataError(f"`{option}`: {error}") from error
        raise ConfigError(
            f"`{option}` is neither a file nor an item: expected ids separated by commas, or a file with one "
            f"a line, got `{text}`. Check the path or the id."
        ) from error


def _ids(run: Run, text: str) -> list[Any]:
    return run.typed(_parts(text)[0])


def _parts(text: str) -> tuple[list[str], bool]:
    """Parse item ids, the lines of a file or text with commas; and return whether there is a file."""
    try:
        is_file = Path(text).is_file()
    except OSError:  # too long for the name of a file
        is_file = False
    parts = Path(text).read_text(encoding="utf-8").splitlines() if is_file else text.split(",")
    return [part.strip() for part in parts if part.strip()], is_file
