"""`POST /events`: events of running sessions."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sidkit.serve.http.problems import Problem
from sidkit.serve.http.routes.bodies import PROBLEMS, answer, described, read_body, service_of
from sidkit.serve.http.schemas import Events, StoredEvents

__all__ = ["router"]

router = APIRouter(tags=["users"], responses=PROBLEMS)


@router.post("/events", response_model=StoredEvents, openapi_extra=described(Events))
async def events(request: Request) -> Response:
    """Store events of a user, for later requests with this user; the latest ones are kept."""
    body = await read_body(request, Events)
    service = service_of(request)
    if service.events is None:
        raise Problem(
            HTTPStatus.CONFLICT,
            "the server stores no events: start it with --store-events, or send histories.",
        )
    if len(body.item_ids) > service.settings.limits.history:
        message = f"expected at most {service.settings.limits.history}, got {len(body.item_ids)}"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"`item_ids` has too many events: {message}. Send the latest.",
            errors=[{"field": "item_ids", "message": message}],
        )
    snapshot = await service.snapshot()
    known = [snapshot.numbers.typed(each) for each in body.item_ids if snapshot.find(each) >= 0]
    unknown = [each for each in body.item_ids if snapshot.find(each) < 0]
    stored = service.events.add(body.user, known) if known else len(service.events.history(body.user) or ())
    return answer({"stored": stored, "unknown": unknown})
