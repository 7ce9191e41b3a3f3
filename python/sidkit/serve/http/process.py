"""Processes of the server: sockets, workers and signals."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from dataclasses import replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

import uvicorn

from sidkit.serve.http.app import create_app
from sidkit.serve.http.logs import configure_logs, log
from sidkit.serve.http.peers import ABSENT, Peers
from sidkit.serve.http.settings import ServerSettings

__all__ = ["serve"]

#: Exit code of uvicorn for an application that does not start.
_STARTUP_FAILED = 3
_PAUSE = 0.5


def serve(settings: ServerSettings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way.

    Args:
        settings: settings of the server.

    Raises:
        OSError: if the address is in use.
        SystemExit: if the server cannot start; the log says why.
    """
    configure_logs()
    if settings.host not in ("127.0.0.1", "::1", "localhost") and settings.token is None:
        log(
            "the server has no token and listens beyond this machine",
            level=logging.WARNING,
            host=settings.host,
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Connections wait in the queue of the socket while workers start.
    bound = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    log("listening", host=settings.host, port=bound.getsockname()[1], workers=settings.workers)
    if settings.workers == 1:
        _work(settings, bound)
        return
    share = max(1, _cores() // settings.workers)  # of the cores, for the model of each worker
    settings = replace(settings, source=replace(settings.source, threads=share))
    with tempfile.TemporaryDirectory(prefix="sidkit-metrics-") as directory:
        # Read by the metrics of every worker when it imports the client of Prometheus.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        code = _supervise(settings, bound)
    if code:
        sys.exit(code)


def _cores() -> int:
    """Return the number of cores that this process may use, which a container limits."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _config(settings: ServerSettings, peers: Peers | None) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings, peers=peers),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain,
    )


class _Server(uvicorn.Server):
    """Server whose long-lived objects are not searched for garbage again, which would delay all requests."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        gc.unfreeze()
        await super().shutdown(sockets)


def _work(settings: ServerSettings, bound: socket.socket, peers: Peers | None = None) -> None:
    """Run one worker."""
    configure_logs()
    if (parent := parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), name="sidkit-parent", daemon=True).start()
    server = _Server(_config(settings, peers))
    server.run(sockets=[bound])
    if not server.started:
        sys.exit(_STARTUP_FAILED)


def _end_with(sentinel: int) -> None:
    """Stop this worker when the process that started it has ended, so that it does not keep the port."""
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _supervise(settings: ServerSettings, bound: socket.socket) -> int:
    """Run several workers, and start one again that ends; returns the exit code."""
    context = get_context("spawn")
    positions = context.RawArray(ctypes.c_uint64, [ABSENT] * settings.workers)

    def start(place: int) -> BaseProcess:
        positions[place] = ABSENT
        process = context.Process(target=_work, args=(settings, bound, Peers(positions, place)))
        process.start()
        return process

    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    workers, code = [start(place) for place in range(settings.workers)], 0
    while not stopping.wait(_PAUSE):
        for place, worker in enumerate(workers):
            if worker.is_alive():
                continue
            if worker.exitcode == _STARTUP_FAILED:
                code = _STARTUP_FAILED
                stopping.set()
                break
            log("a worker has ended and is started again", level=logging.ERROR, code=worker.exitcode)
            workers[place] = start(place)
    bound.close()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(settings.drain + _PAUSE)
        if worker.is_alive():
            worker.kill()
            worker.join()
    return code
