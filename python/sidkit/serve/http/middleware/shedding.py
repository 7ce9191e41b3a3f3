"""Middleware that refuses requests to the model while there are too many."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache

from starlette.types import ASGIApp, Receive, Scope, Send

from sidkit.serve.http.metrics import Metrics
from sidkit.serve.http.problems import MEDIA_TYPE, Overloaded, respond

__all__ = ["LoadShedding"]


class LoadShedding:
    """ASGI middleware that refuses a request before anything of it is read, which costs little.

    It comes before the check of the token and the log of requests. Requests that it lets through may still be
    refused, when their weight is known.

    Args:
        app: the next application.
        metrics: metrics of requests, in which refusals count.
        paths: paths of requests to the model.
        refusal: function from the number of requests under way to the seconds after which another one has a
            chance, 0 if it has one now.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, paths: Collection[str], refusal: Callable[[int], int]
    ) -> None:
        self._app = app
        self._refusal = refusal
        self._under_way = 0
        self._refused = {path: metrics.requests.labels(path, "POST", "429") for path in paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        refused = self._refused.get(scope["path"]) if scope["type"] == "http" else None
        if refused is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        seconds = self._refusal(self._under_way)
        if not seconds:
            self._under_way += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._under_way -= 1
            return
        headers, body = _answer(seconds)
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        refused.inc()


@cache
def _answer(seconds: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    body = bytes(respond(Overloaded(seconds)).body)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", str(seconds).encode()),
        (b"cache-control", b"no-store"),
    ]
    return headers, body
