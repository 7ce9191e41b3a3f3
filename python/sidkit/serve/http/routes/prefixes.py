"""`/prefixes`: the tree of Semantic IDs, level by level."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sidkit.errors import DataError
from sidkit.serve.http.problems import Problem, of_error
from sidkit.serve.http.routes.bodies import PROBLEMS, answer, service_of
from sidkit.serve.http.routes.items import summaries
from sidkit.serve.http.schemas import PrefixPage
from sidkit.serve.live import Snapshot

__all__ = ["router"]

router = APIRouter(tags=["prefixes"], responses=PROBLEMS)

_EXAMPLES = 3
_Offset = Annotated[int, Query(ge=0, le=2**31)]
_Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/prefixes", response_model=PrefixPage)
async def root(request: Request, offset: _Offset = 0, limit: _Limit = 50) -> Response:
    """Return the first tokens of all Semantic IDs, page by page."""
    return await _answer(request, "", offset, limit)


@router.get("/prefixes/{prefix}", response_model=PrefixPage)
async def walk(
    request: Request, prefix: Annotated[str, Path(max_length=1024)], offset: _Offset = 0, limit: _Limit = 50
) -> Response:
    """Return the tokens that continue a prefix such as `12-200`, page by page."""
    return await _answer(request, prefix, offset, limit)


async def _answer(request: Request, prefix: str, offset: int, limit: int) -> Response:
    service = service_of(request)
    return answer(await service.pool.run(_page, await service.snapshot(), prefix, offset, limit))


def _page(snapshot: Snapshot, text: str, offset: int, limit: int) -> dict[str, Any]:
    sids = snapshot.sids
    if sids is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"the model `{snapshot.model.method}` has no Semantic IDs.")
    try:
        prefix = sids.parse(text)
    except DataError as error:
        raise of_error(error, "prefix") from error
    count = sids.count(prefix)
    if not count and prefix:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no item under the prefix `{text}`.")
    children, page, members = 0, [], []
    if len(prefix) < len(sids.sizes):
        children, found = sids.children(prefix, offset, limit, _EXAMPLES)
        page = [
            {
                "prefix": "-".join(map(str, each.prefix)),
                "items": each.count,
                "examples": summaries(snapshot, each.examples),
            }
            for each in found
        ]
    else:
        members = sids.items(prefix, offset, limit)
    return {
        "prefix": text,
        "items": count,
        "children": children,
        "page": page,
        "members": summaries(snapshot, members),
        "offset": offset,
    }
