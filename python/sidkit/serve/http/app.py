"""The application: routes, middleware, errors, and the OpenAPI description."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from sidkit._core import __version__
from sidkit.errors import SidkitError
from sidkit.serve.http import problems
from sidkit.serve.http.logs import log
from sidkit.serve.http.metrics import Metrics
from sidkit.serve.http.middleware.direct import Direct
from sidkit.serve.http.middleware.guard import Guard
from sidkit.serve.http.middleware.shedding import LoadShedding
from sidkit.serve.http.peers import Peers
from sidkit.serve.http.routes import ROUTERS
from sidkit.serve.http.routes.recommend import recommend
from sidkit.serve.http.schemas import (
    DeleteItems,
    Events,
    ProblemDetails,
    PutItems,
    RecommendRequest,
    SimilarRequest,
)
from sidkit.serve.http.service import Service
from sidkit.serve.http.settings import ServerSettings

__all__ = ["create_app"]

#: Route of the endpoint that is called without the router, for metrics.
_RECOMMEND = next(
    route for router in ROUTERS for route in router.routes if getattr(route, "name", "") == "recommend"
)
_BODIES = (RecommendRequest, SimilarRequest, PutItems, DeleteItems, Events)


def create_app(settings: ServerSettings, *, peers: Peers | None = None) -> FastAPI:
    """Make the application.

    The model is opened when the application starts, so that a server that cannot open it does not start.

    Args:
        settings: settings of the server.
        peers: all workers of the server; None if this process is the only one.

    Returns:
        An ASGI application.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            service = await run_in_threadpool(Service, settings, metrics, peers)
            await service.start()
        except (SidkitError, OSError) as error:
            log("the server cannot start", level=logging.ERROR, reason=str(error))
            raise
        snapshot = service.writer.snapshot
        log(
            "ready",
            method=snapshot.model.method,
            engine=snapshot.model.engine,
            items=len(snapshot.items),
            catalogue_version=snapshot.version,
        )
        app.state.service = service
        try:
            yield
        finally:
            app.state.draining = True
            await service.stop()
            await run_in_threadpool(service.close)
            log("stopped")

    app = FastAPI(
        title="sidkit",
        version=__version__,
        description="Recommendations, a catalogue that changes while it is used, and its Semantic IDs.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(problems.Problem, problems.of_problem)
    app.add_exception_handler(SidkitError, problems.of_sidkit)
    app.add_exception_handler(RequestValidationError, problems.of_parameters)
    app.add_exception_handler(HTTPException, problems.of_status)
    app.add_middleware(
        Direct,
        owner=app,
        endpoints={("POST", "/recommend"): (recommend, _RECOMMEND)},
    )
    app.add_middleware(
        Guard,
        metrics=metrics,
        token=settings.token,
        body=settings.limits.body,
        access_log=settings.access_log,
    )
    app.add_middleware(
        LoadShedding,
        metrics=metrics,
        paths=("/recommend",),
        refusal=lambda under_way: app.state.service.refusal(under_way),
    )
    _describe_bodies(app, secured=settings.token is not None)
    return app


def _describe_bodies(app: FastAPI, *, secured: bool) -> None:
    """Add the bodies that routes read themselves to the OpenAPI description, and the token."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = generate()
            modes: list[Any] = [(model, "validation") for model in (*_BODIES, ProblemDetails)]
            _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")
            components = described.setdefault("components", {})
            components.setdefault("schemas", {}).update(schemas["$defs"])
            if secured:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                described["security"] = [{"token": []}]
        return app.openapi_schema or described

    app.openapi = openapi  # type: ignore[method-assign]
