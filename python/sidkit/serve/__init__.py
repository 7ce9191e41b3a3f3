"""Serving: inference sessions, the live catalogue, and the HTTP server.

    session            inference in Rust, without torch
    live               catalogue that changes while it is read: journal, item table, Semantic IDs
    http               server, its explorer, and the command `sidkit serve`

This module imports nothing: a session needs NumPy only.
"""

__all__: list[str] = []
