"""Metrics of a server in the format of Prometheus."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WEIGHTS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters and histograms of one application.

    With several processes, `PROMETHEUS_MULTIPROC_DIR` names the directory in which they are combined.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self.requests = Counter(
            "sidkit_requests",
            "Requests by route and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "sidkit_request_seconds",
            "Time to answer a request.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "sidkit_batch_histories",
            "Histories answered by one call of the model.",
            buckets=_WEIGHTS,
            registry=registry,
        )
        self.unknown = Counter(
            "sidkit_unknown_items", "Items of histories that were skipped.", registry=registry
        )
        self.changes = Counter(
            "sidkit_catalogue_changes", "Changes of the catalogue.", ["kind"], registry=registry
        )
        self.reloads = Counter("sidkit_reloads", "Reloads of the model.", ["result"], registry=registry)
        self.waiting = _latest("sidkit_waiting_histories", "Histories that wait for the model.", registry)
        self.items = _latest("sidkit_catalogue_items", "Items of the catalogue.", registry)
        self.version = _latest("sidkit_catalogue_version", "Changes of the catalogue so far.", registry)
        self.journal = _latest("sidkit_journal_bytes", "Size of the journal.", registry)

    def text(self) -> bytes:
        """Return all metrics as text."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        combined = CollectorRegistry()
        multiprocess.MultiProcessCollector(combined)  # type: ignore[no-untyped-call]
        return generate_latest(combined)


def _latest(name: str, documentation: str, registry: CollectorRegistry) -> Gauge:
    """Return a gauge of which several processes show the largest value."""
    return Gauge(name, documentation, registry=registry, multiprocess_mode="max")
