"""Middleware that calls the most frequent endpoints without the router."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sidkit.errors import SidkitError
from sidkit.serve.http.problems import Problem, of_error, respond

__all__ = ["Direct", "Endpoint"]

#: Function that answers a request and parses it itself.
Endpoint = Callable[[Request], Awaitable[Response]]


class Direct:
    """ASGI middleware for endpoints that need nothing from the router, which takes longer than they do.

    The endpoints are routes of the application as well, which describe them.

    Args:
        app: the next application.
        owner: the application whose state the endpoints use.
        endpoints: functions by method and path, with the route that describes them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        owner: object,
        endpoints: Mapping[tuple[str, str], tuple[Endpoint, object]],
    ) -> None:
        self._app = app
        self._owner = owner
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        found = None
        if scope["type"] == "http":
            found = self._endpoints.get((scope["method"], scope["path"]))
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, route = found
        scope["app"], scope["route"] = self._owner, route
        try:
            response = await endpoint(Request(scope, receive))
        except Problem as problem:
            response = respond(problem, scope.get("request_id", ""))
        except SidkitError as error:
            response = respond(of_error(error), scope.get("request_id", ""))
        await response(scope, receive, send)
