"""HTTP server for a model and its catalogue, with an explorer for people.

`create_app` makes the application, `serve` runs it; `sidkit serve` is the command.
"""

from sidkit._extras import require

require("fastapi", extra="server")
require("uvicorn", extra="server")
require("prometheus_client", extra="server")

from sidkit.serve.http.app import create_app
from sidkit.serve.http.process import serve
from sidkit.serve.http.settings import ServerSettings

__all__ = ["ServerSettings", "create_app", "serve"]
