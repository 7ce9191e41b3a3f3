"""Retrievers, one per module; `sidkit.search.RETRIEVERS` lists and imports them."""

__all__: list[str] = []
