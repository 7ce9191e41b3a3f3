"""ASGI middleware of the server, from the outermost: `LoadShedding`, `Guard`, `Direct`."""
