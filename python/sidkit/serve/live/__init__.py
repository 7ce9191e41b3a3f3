"""Catalogue that changes while requests read it.

Every change is one record of a journal, on disk before it is acknowledged. Each process of a server applies
the records in their order, so all of them have the same catalogue.
"""

from sidkit._extras import require

require("polars", extra="data")

from sidkit.serve.live.catalogue import LiveCatalogue, Snapshot
from sidkit.serve.live.changes import Delete, Put, Reload
from sidkit.serve.live.journal import Journal
from sidkit.serve.live.table import ItemTable

__all__ = ["Delete", "ItemTable", "Journal", "LiveCatalogue", "Put", "Reload", "Snapshot"]
