"""Bodies of requests and answers, without the conversions of FastAPI between them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sidkit.serve.http.problems import MEDIA_TYPE, Problem, field_errors
from sidkit.serve.http.schemas import ProblemDetails
from sidkit.serve.http.service import Service

__all__ = ["PROBLEMS", "answer", "described", "read_body", "service_of"]

M = TypeVar("M", bound=BaseModel)

#: Bodies up to this size are parsed on the event loop, which takes less than a change of threads.
_SMALL = 16_384

#: Descriptions of the error answers that most routes have.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}}},
    }
    for status in (400, 401, 404, 409, 413, 415, 422, 429, 503)
}


def service_of(request: Request) -> Service:
    """Return the service of the application; a problem while it starts."""
    service: Service | None = getattr(request.app.state, "service", None)
    if service is None:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the server is starting.", headers={"Retry-After": "1"})
    return service


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return the part of the OpenAPI description of a route whose body is read by `read_body`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def read_body(request: Request, model: type[M]) -> M:
    """Read and check the body of a request.

    Raises:
        Problem: if it is not JSON, or does not fit the model; it names the fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body has the wrong type: expected application/json, got {kind[:80] or 'none'}. Set "
            "`Content-Type`.",
        )
    try:
        body = await request.body()
    except ClientDisconnect:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is incomplete.") from None
    if len(body) <= _SMALL:
        return _parsed(model, body)
    return await service_of(request).pool.run(_parsed, model, body)


def answer(content: Any, status: int = HTTPStatus.OK) -> Response:
    """Return an answer of JSON."""
    return Response(
        to_json(content, inf_nan_mode="null", fallback=str), status, media_type="application/json"
    )


def _parsed(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        errors = field_errors(error)
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise Problem(
                HTTPStatus.BAD_REQUEST, f"the body is no JSON: {error.errors()[0]['msg']}."
            ) from None
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the body is invalid: `{errors[0]['field'] or 'body'}`: {errors[0]['message']}.",
            errors=errors,
        ) from None
