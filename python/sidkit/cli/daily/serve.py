"""`sidkit serve`: a model behind HTTP, with an explorer."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidkit.cli.groups import with_groups
from sidkit.cli.options import Model
from sidkit.serve.http import ServerSettings, serve
from sidkit.serve.http.settings import Limits
from sidkit.serve.source import ServerSource

__all__ = ["command"]

_TOKEN = "SIDKIT_SERVE_TOKEN"


@dataclass(frozen=True)
class Files:
    """Files next to the model."""

    items: Annotated[
        Path | None,
        typer.Option(
            "--items", help="Parquet or CSV file with `item_id`, `title` and other columns of the items."
        ),
    ] = None
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="File of the tokenizer, for items that are added.")
    ] = None
    histories: Annotated[
        Path | None,
        typer.Option("--histories", help="Parquet or CSV file of interactions, for requests by user."),
    ] = None
    embed: Annotated[
        str | None,
        typer.Option("--embed", help="Embed the text of added items by this model, such as `minilm`."),
    ] = None
    compare: Annotated[
        Path | None,
        typer.Option("--compare", help="Directory of another saved model or run, to compare with."),
    ] = None
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="Directory of the journal; without it, changes of the items are lost at the end."
        ),
    ] = None


@dataclass(frozen=True)
class Network:
    """Address, processes and access."""

    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on.")] = 8000
    workers: Annotated[int, typer.Option("--workers", min=1, help="Number of processes.")] = 1
    token: Annotated[
        str | None,
        typer.Option(
            "--token", envvar=_TOKEN, help="Token that requests must carry (`Authorization: Bearer`)."
        ),
    ] = None
    access_log: Annotated[bool, typer.Option("--access-log/--no-access-log", help="Log every request.")] = (
        True
    )


@dataclass(frozen=True)
class Bounds:
    """Limits of requests and queues."""

    max_body: Annotated[int, typer.Option("--max-body", min=1024, help="Bytes of a request.")] = Limits.body
    max_under_way: Annotated[
        int,
        typer.Option(
            "--max-under-way",
            min=1,
            help="Requests to the model that a process answers at a time; further ones get 429.",
        ),
    ] = Limits.under_way
    max_waiting: Annotated[
        int,
        typer.Option(
            "--max-waiting", min=1, help="Histories that wait; further requests get the status 429."
        ),
    ] = Limits.waiting
    max_delay: Annotated[
        float,
        typer.Option(
            "--max-delay", min=0.001, help="Probable seconds of waiting, beyond which requests get 429."
        ),
    ] = Limits.delay
    batch: Annotated[int, typer.Option("--batch", min=1, help="Histories per call of the model.")] = (
        Limits.batch
    )
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.01, help="Seconds until a request is given up.")
    ] = Limits.timeout


@with_groups
def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Directory of a saved model, or a run.")],
    files: Files,
    network: Network,
    bounds: Bounds,
    name: Model = None,
    store_events: Annotated[
        bool, typer.Option("--store-events", help="Accept `POST /events`, and use them in requests by user.")
    ] = False,
) -> None:
    """Serve a model over HTTP: recommendations, a catalogue that may change, and an explorer at `/`.

    A run brings its items, tokenizer and histories. The address is that of this machine only, unless `--host`
    says otherwise.

    For example:

    `sidkit serve shop-model --items items.parquet`

    `sidkit serve runs/demo --state state --port 8080`
    """
    limits = Limits(
        body=bounds.max_body,
        under_way=bounds.max_under_way,
        waiting=bounds.max_waiting,
        delay=bounds.max_delay,
        batch=bounds.batch,
        timeout=bounds.timeout,
    )
    source = ServerSource(
        model, name, files.items, files.tokenizer, files.histories, files.embed, files.compare
    )
    settings = ServerSettings(
        source=source,
        state=files.state,
        token=network.token,
        store_events=store_events,
        access_log=network.access_log,
        host=network.host,
        port=network.port,
        workers=network.workers,
        limits=limits,
    )
    os.environ.pop(_TOKEN, None)
    serve(settings)
