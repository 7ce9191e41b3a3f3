"""Probes, metrics, facts about the model, and reloads."""

import logging
from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from sidkit.errors import SidkitError
from sidkit.serve.http.logs import log
from sidkit.serve.http.metrics import CONTENT_TYPE
from sidkit.serve.http.problems import Problem
from sidkit.serve.http.routes.bodies import PROBLEMS, answer, service_of
from sidkit.serve.http.schemas import ModelInfo, Reloaded, Status

__all__ = ["router"]

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Status)
async def healthz() -> Response:
    """Return whether the process answers requests."""
    return answer({"status": "alive"})


@router.get("/readyz", response_model=Status, responses={503: PROBLEMS[503]})
async def readyz(request: Request) -> Response:
    """Return whether the process has a model and accepts work."""
    service_of(request)
    if getattr(request.app.state, "draining", False):
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the server is shutting down.")
    return answer({"status": "ready"})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Return metrics in the text format of Prometheus."""
    service = service_of(request)
    snapshot = await service.snapshot()
    service.metrics.waiting.set(service.batcher.waiting)
    service.metrics.items.set(len(snapshot.items))
    service.metrics.version.set(snapshot.version)
    service.metrics.journal.set(service.writer.journal_bytes)
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


@router.get("/model", response_model=ModelInfo)
async def model(request: Request) -> Response:
    """Return the model and what requests may use."""
    service = service_of(request)
    snapshot, other = await service.snapshot(), service.writer.compared
    return answer(
        {
            "method": snapshot.model.method,
            "engine": snapshot.model.engine,
            "model_version": snapshot.model.version,
            "catalogue_version": snapshot.version,
            "items": len(snapshot.items),
            "scorings": snapshot.model.scorings,
            "sizes": [] if snapshot.sids is None else snapshot.sids.sizes,
            "columns": {name: str(dtype) for name, dtype in snapshot.items.columns.items()},
            "users": service.writer.users is not None or service.events is not None,
            "stores_events": service.events is not None,
            "compared": other
            and {
                "method": other.model.method,
                "model_version": other.model.version,
                "items": len(other.items),
                "scorings": other.model.scorings,
            },
        }
    )


@router.post("/admin/reload", response_model=Reloaded, responses=PROBLEMS)
async def reload(request: Request) -> Response:
    """Open the model and its files again; the former model answers until the new one is ready."""
    service = service_of(request)
    try:
        changed = await service.reloads.run(service.writer.reload)
    except (SidkitError, OSError) as error:
        service.metrics.reloads.labels("failed").inc()
        log("reload failed", level=logging.ERROR, reason=str(error))
        raise Problem(
            HTTPStatus.CONFLICT, f"the model cannot be opened: {error} The former model stays in use."
        ) from error
    service.metrics.reloads.labels("done").inc()
    version = service.writer.snapshot.model.version
    log("reloaded", model_version=version, changed=changed)
    return answer({"model_version": version, "changed": changed})
