"""Routes of the server, one module per subject."""

from sidkit.serve.http.routes import explorer, items, operations, prefixes, recommend, users

__all__ = ["ROUTERS"]

#: Routers in the order of the OpenAPI description.
ROUTERS = tuple(module.router for module in (recommend, items, prefixes, users, operations, explorer))
