"""The explorer: static files of the package."""

from http import HTTPStatus
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from sidkit.serve.http.problems import Problem

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
}
_FILES = {
    entry.name: (entry.read_bytes(), _TYPES[entry.name.rpartition(".")[2]])
    for entry in files("sidkit.serve").joinpath("explorer").iterdir()
    if entry.name.rpartition(".")[2] in _TYPES
}


@router.get("/")
async def index() -> Response:
    """Return the page."""
    content, media_type = _FILES["index.html"]
    return Response(content, media_type=media_type)


@router.get("/explorer/{name}")
async def asset(name: str) -> Response:
    """Return a file of the page."""
    if name not in _FILES:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such file.")
    content, media_type = _FILES[name]
    return Response(content, media_type=media_type)
