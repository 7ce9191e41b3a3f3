"""Processes of the server: sockets, workers and signals."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import partial

import uvicorn
from uvicorn.supervisors import Multiprocess

from sidkit.serve.http.app import create_app
from sidkit.serve.http.logs import configure_logs, log
from sidkit.serve.http.settings import ServerSettings

__all__ = ["serve"]


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way.

    Args:
        settings: settings of the server.

    Raises:
        SystemExit: if the server cannot start; the log says why.
    """
    configure_logs()
    if settings.host not in ("127.0.0.1", "::1", "localhost") and settings.token is None:
        log(
            "the server has no token and listens beyond this machine",
            level=logging.WARNING,
            host=settings.host,
        )
    config = uvicorn.Config(
        partial(_application, settings),
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=settings.drain,
        limit_concurrency=None,
    )
    if settings.workers == 1:
        uvicorn.Server(config).run()
        return
    with tempfile.TemporaryDirectory(prefix="sidkit-metrics-") as directory:
        # Read by the metrics of every worker when it imports the client of Prometheus.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        socket = config.bind_socket()
        Multiprocess(config, target=uvicorn.Server(config).run, sockets=[socket]).run()


def _application(settings: ServerSettings) -> object:
    configure_logs()
    return create_app(settings)
