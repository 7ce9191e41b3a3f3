"""`POST /recommend` and `POST /similar`."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sidkit.errors import ConfigError
from sidkit.serve.http.planning import check_fields
from sidkit.serve.http.problems import Problem
from sidkit.serve.http.routes.bodies import PROBLEMS, answer, described, read_body, service_of
from sidkit.serve.http.schemas import RecommendRequest, RecommendResponse, SimilarRequest, SimilarResponse
from sidkit.serve.http.service import values_of
from sidkit.serve.live import Snapshot

__all__ = ["router"]

router = APIRouter(tags=["recommendations"], responses=PROBLEMS)


@router.post("/recommend", response_model=RecommendResponse, openapi_extra=described(RecommendRequest))
async def recommend(request: Request) -> Response:
    """Recommend the next items after histories, or to users."""
    service = service_of(request)
    return answer(await service.recommend(await read_body(request, RecommendRequest)))


@router.post("/similar", response_model=SimilarResponse, openapi_extra=described(SimilarRequest))
async def similar(request: Request) -> Response:
    """Return the items whose learned vectors are most similar to those of some items."""
    body = await read_body(request, SimilarRequest)
    service = service_of(request)
    snapshot = await service.snapshot()
    check_fields(body.fields, snapshot)
    return answer(await service.pool.run(_similar, body, snapshot))


def _similar(body: SimilarRequest, snapshot: Snapshot) -> dict[str, Any]:
    results = []
    for place, item in enumerate(body.item_ids):
        if not snapshot.known(item) or snapshot.find(item) < 0:
            field = f"item_ids[{place}]"
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"`{field}` is unknown: expected an item of the model, got {item!r}. Leave it out.",
                errors=[{"field": field, "message": "expected an item of the model"}],
            )
        try:
            found = snapshot.model.similar_items(snapshot.numbers.typed(item), body.k + 16)
        except ConfigError as error:
            raise Problem(HTTPStatus.CONFLICT, str(error)) from error
        there = [pair for pair in found if snapshot.find(pair[0]) >= 0][: body.k]
        rows: list[dict[str, Any]] = [{"item_id": each, "score": score} for each, score in there]
        if body.fields:
            for row, values in zip(
                rows, values_of(snapshot, [each for each, _ in there], body.fields), strict=True
            ):
                row["fields"] = values
        results.append(rows)
    return {
        "results": results,
        "model_version": snapshot.model.version,
        "catalogue_version": snapshot.version,
    }
