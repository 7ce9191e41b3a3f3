"""Errors as problem details (RFC 9457), which name the field that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from sidkit.errors import CollisionError, ConfigError, DataError, SidkitError

__all__ = ["Overloaded", "Problem", "field_errors", "of_error", "respond"]

MEDIA_TYPE = "application/problem+json"
_LONGEST = 300


class Problem(Exception):
    """An answer with an error status.

    Args:
        status: HTTP status.
        detail: what is wrong, what was expected, and what to do.
        errors: `{"field": ..., "message": ...}` for each wrong field.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[dict[str, str]] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}


class Overloaded(Problem):
    """More work than the queues hold.

    Args:
        seconds: when to try again.
    """

    def __init__(self, seconds: int = 1) -> None:
        super().__init__(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"the server is at capacity. Send the request again after {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


def respond(problem: Problem, request_id: str = "") -> Response:
    """Return the answer for a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    if request_id:
        body["instance"] = f"urn:request:{request_id}"
    content = to_json(body, inf_nan_mode="null", fallback=str)
    return Response(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def of_error(error: SidkitError, field: str | None = None) -> Problem:
    """Return the problem for an error of the library in a request."""
    status = HTTPStatus.CONFLICT if isinstance(error, CollisionError) else HTTPStatus.UNPROCESSABLE_ENTITY
    message = str(error)
    if not isinstance(error, DataError | ConfigError | CollisionError):
        status = HTTPStatus.CONFLICT
    return Problem(status, message, errors=[{"field": field, "message": message}] if field else ())


def field_errors(error: ValidationError | Sequence[Any], start: Sequence[str] = ()) -> list[dict[str, str]]:
    """Return the wrong fields of a request, such as `histories[0][3]`; at most 20 of them."""
    found = (
        error.errors(include_url=False, include_context=False)
        if isinstance(error, ValidationError)
        else error
    )
    return [{"field": _path([*start, *each["loc"]]), "message": _message(each)} for each in list(found)[:20]]


def _message(error: Any) -> str:
    given = error.get("input")
    shown = repr(given) if isinstance(given, str | int | float | bool | None) else type(given).__name__
    return f"{error['msg']}, got {shown[:_LONGEST]}"


def _path(location: Sequence[Any]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


async def of_problem(request: Request, error: Exception) -> Response:
    """Answer a request whose handler raised a `Problem`."""
    assert isinstance(error, Problem)
    return respond(error, request.scope.get("request_id", ""))


async def of_sidkit(request: Request, error: Exception) -> Response:
    """Answer a request whose handler raised an error of the library."""
    assert isinstance(error, SidkitError)
    return respond(of_error(error), request.scope.get("request_id", ""))


async def of_parameters(request: Request, error: Exception) -> Response:
    """Answer a request with invalid parameters in its address."""
    errors = [
        {**each, "loc": [part for part in each["loc"] if part not in ("query", "path")]}
        for each in error.errors()  # type: ignore[attr-defined]
    ]
    problem = Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "the parameters are invalid", errors=field_errors(errors)
    )
    return respond(problem, request.scope.get("request_id", ""))


async def of_status(request: Request, error: Exception) -> Response:
    """Answer a request of an unknown path or method."""
    status = int(getattr(error, "status_code", 500))
    headers = dict(getattr(error, "headers", None) or {})
    detail = f"{request.method} {request.url.path[:_LONGEST]}: {getattr(error, 'detail', '')}"
    return respond(Problem(status, detail, headers=headers), request.scope.get("request_id", ""))
