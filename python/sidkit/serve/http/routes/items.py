"""`/items`: search, details, and changes of the catalogue."""

from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sidkit.serve.http.problems import Problem
from sidkit.serve.http.routes.bodies import PROBLEMS, answer, described, read_body, service_of
from sidkit.serve.http.schemas import Changed, DeleteItems, ItemDetail, ItemPage, PutItems
from sidkit.serve.live import Snapshot
from sidkit.serve.writer import CatalogueWriter

__all__ = ["router", "summaries"]

router = APIRouter(tags=["items"], responses=PROBLEMS)

_NEIGHBOURS = 10


@router.get("/items", response_model=ItemPage)
async def search(
    request: Request,
    query: Annotated[str, Query(max_length=200, description="Part of a title, or an item id.")] = "",
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """Search items by title, page by page; an item with this id comes first."""
    service = service_of(request)
    return answer(await service.pool.run(_search, await service.snapshot(), query, offset, limit))


@router.get("/items/{item_id:path}", response_model=ItemDetail)
async def detail(request: Request, item_id: Annotated[str, Path(max_length=256)]) -> Response:
    """Return an item: its columns, Semantic ID, prefixes and neighbours in the tree of prefixes."""
    service = service_of(request)
    return answer(await service.pool.run(_detail, await service.snapshot(), item_id))


@router.put("/items", response_model=Changed, openapi_extra=described(PutItems))
async def put(request: Request) -> Response:
    """Add or replace items, all of them or none.

    The answer comes when the change is on disk, and visible in all workers.
    """
    body = await read_body(request, PutItems)
    service = service_of(request)
    _check_number("items", len(body.items), service.settings.limits.items)
    return answer(await service.change(_put, body))


@router.delete("/items", response_model=Changed, openapi_extra=described(DeleteItems))
async def delete(request: Request) -> Response:
    """Remove items, all of them or none; items that do not exist are reported."""
    body = await read_body(request, DeleteItems)
    service = service_of(request)
    _check_number("item_ids", len(body.item_ids), service.settings.limits.items)
    return answer(await service.change(_delete, body))


def summaries(snapshot: Snapshot, numbers: Any) -> list[dict[str, Any]]:
    """Return `ItemSummary` of items by number."""
    there = [number for number in map(int, numbers) if snapshot.items.has(number)]
    values = snapshot.items.values(there, ["item_id", "title"])
    return [row | {"sid": snapshot.sid(number)} for row, number in zip(values, there, strict=True)]


def _search(snapshot: Snapshot, query: str, offset: int, limit: int) -> dict[str, Any]:
    exact = snapshot.find(query) if query else -1
    total, numbers = snapshot.items.search(query, offset, limit)
    found = numbers.tolist()
    if exact >= 0 and offset == 0:
        found = [exact, *(number for number in found if number != exact)][:limit]
        total = max(total, len(found))
    return {"total": total, "items": summaries(snapshot, found), "offset": offset}


def _detail(snapshot: Snapshot, item_id: str) -> dict[str, Any]:
    number = snapshot.find(item_id)
    if number < 0:
        raise Problem(HTTPStatus.NOT_FOUND, f"there is no item {item_id!r} in the catalogue.")
    typed = snapshot.numbers.typed(item_id)
    row = snapshot.model_rows[number] if number < len(snapshot.model_rows) else -1
    sids, path, neighbours = snapshot.sids, [], []
    if sids is not None and sids.has(number):
        tokens = tuple(sids.tokens(np.array([number], np.int64))[0].tolist())
        prefixes = [tokens[:length] for length in range(1, len(tokens) + 1)]
        path = [{"prefix": "-".join(map(str, each)), "items": sids.count(each)} for each in prefixes]
        for prefix in reversed(prefixes):
            nearby = [each for each in sids.items(prefix, 0, _NEIGHBOURS + 1) if each != number]
            neighbours += [each for each in nearby if each not in neighbours]
            if len(neighbours) >= _NEIGHBOURS:
                break
    return {
        "item_id": typed,
        "values": snapshot.items.values([number], snapshot.items.columns)[0],
        "sid": snapshot.sid(number),
        "path": path,
        "neighbours": summaries(snapshot, neighbours[:_NEIGHBOURS]),
        "training_events": int(snapshot.model.counts[row]) if row >= 0 else None,
    }


def _put(writer: CatalogueWriter, body: PutItems) -> dict[str, Any]:
    values = [{**item.values, "item_id": item.item_id} for item in body.items]
    change, after = writer.put(values, [item.vector for item in body.items])
    return {
        "catalogue_version": after.version,
        "added": len(change.new),
        "replaced": len(change.rows) - len(change.new),
        "recommendable": all(after.known(change.rows[place]["item_id"]) for place in change.new),
    }


def _delete(writer: CatalogueWriter, body: DeleteItems) -> dict[str, Any]:
    removed, missing, after = writer.delete(body.item_ids)
    return {"catalogue_version": after.version, "removed": removed, "missing": missing}


def _check_number(field: str, count: int, most: int) -> None:
    if count > most:
        message = f"expected at most {most}, got {count}"
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"`{field}` has too many items: {message}. Send several requests.",
            errors=[{"field": field, "message": message}],
        )
