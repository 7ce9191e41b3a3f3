"""Middleware of every request: token, size of the body, errors, metrics and logs."""

from __future__ import annotations

import hmac
import itertools
import logging
import secrets
import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidkit.serve.http.logs import log
from sidkit.serve.http.metrics import Metrics
from sidkit.serve.http.problems import Problem, respond

__all__ = ["Guard"]

#: Paths that need no token: probes, and the files of the explorer, which hold no data.
_OPEN = frozenset({"/", "/healthz", "/readyz"})
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """ASGI middleware that checks requests before the application reads them.

    Args:
        app: the application.
        metrics: metrics of requests.
        token: token that requests must carry, or None.
        body: maximum number of bytes of a body.
        access_log: log every request.
    """

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, token: str | None, body: int, access_log: bool
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._token = None if token is None else f"Bearer {token}".encode()
        self._body = body
        self._access_log = access_log
        # Ids of requests: a random one for each would cost a call of the operating system.
        self._process, self._numbers = secrets.token_hex(6), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        scope["request_id"] = request_id = f"{self._process}-{next(self._numbers):x}"

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), *_SAFE_HEADERS, own]
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, self._limited(receive), send_with_headers)
        except Problem as problem:
            await respond(problem, request_id)(scope, receive, send_with_headers)
        except Exception:
            log("failure", level=logging.ERROR, exc_info=True, id=request_id)
            if status:
                raise
            failure = Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the request failed. The log of the server says why."
            )
            await respond(failure, request_id)(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        path = scope["path"]
        if self._token is not None and path not in _OPEN and not path.startswith("/explorer/"):
            given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
            if not hmac.compare_digest(given, self._token):
                raise Problem(
                    HTTPStatus.UNAUTHORIZED,
                    "the request lacks the token of the server: expected the header `Authorization: "
                    "Bearer TOKEN`.",
                    headers={"WWW-Authenticate": "Bearer"},
                )
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Problem(HTTPStatus.BAD_REQUEST, "the header `Content-Length` is no number. Correct it.")
        if len(length) > 15 or int(length) > self._body:
            raise self._too_large()

    def _limited(self, receive: Receive) -> Receive:
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._body:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is too large: expected at most {self._body} bytes, got more. Send several requests.",
            headers={"Connection": "close"},
        )

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        # Paths of routes, not of requests: their number is bounded.
        route = getattr(scope.get("route"), "path", "") or "unknown"
        method = scope["method"] if route != "unknown" else ""
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if self._access_log:
            fields = {"id": scope["request_id"], "method": scope["method"], "path": scope["path"][:200]}
            log("request", **fields, status=status, ms=round(seconds * 1000, 3))
