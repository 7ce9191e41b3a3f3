"""Settings of the server."""

from dataclasses import dataclass, field
from pathlib import Path

from sidkit.errors import ConfigError
from sidkit.serve.source import ServerSource

__all__ = ["Limits", "ServerSettings"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of requests and queues, which bound memory and latency.

    Attributes:
        body: bytes of a request.
        histories: histories or users of a request.
        history: items of a history.
        items: items of one change of the catalogue.
        batch: histories that one call of the model answers.
        under_way: requests to the model that one process answers at a time; further ones get the status 429
            before anything of them is read.
        waiting: histories that wait for the model; further requests get the status 429.
        delay: seconds that a request may have to wait for the model; if it is probably more, and 16
            histories wait already, the request gets the status 429.
        working: other requests under way, such as searches; further ones get the status 429.
        timeout: seconds until a request is given up.
        users: users whose events are stored.
        events: stored events of a user.
    """

    body: int = 1 << 20
    histories: int = 64
    history: int = 1000
    items: int = 1000
    batch: int = 64
    under_way: int = 32
    waiting: int = 256
    delay: float = 0.1
    working: int = 64
    timeout: float = 10.0
    users: int = 100_000
    events: int = 200


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of a server.

    Attributes:
        source: the model and its files.
        state: directory of the journal; None keeps changes of the catalogue in memory.
        token: token that requests must carry; None for none.
        store_events: accept `POST /events`.
        access_log: log every request.
        host: address to listen on.
        port: port to listen on.
        workers: processes.
        drain: seconds that requests have to finish after SIGTERM.
        limits: limits of requests.

    Raises:
        ConfigError: if several processes would have different states.
    """

    source: ServerSource
    state: Path | None = None
    token: str | None = field(default=None, repr=False)
    store_events: bool = False
    access_log: bool = True
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    drain: int = 30
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"`workers` is invalid: expected at least 1, got {self.workers}. Raise it.")
        if self.workers > 1 and self.store_events:
            raise ConfigError(
                "stored events are in the memory of one process: expected 1 worker with `store_events`, got "
                f"{self.workers}. Run one worker, or send histories."
            )
        if self.token == "":
            raise ConfigError(
                "the token is empty: expected a secret text, got none. Set one or leave it out."
            )
