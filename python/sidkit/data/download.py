"""Files from an address, whole or not at all."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from sidkit._files import atomic_path
from sidkit.errors import DataError

__all__ = ["download"]

BLOCK = 1 << 20
SECONDS = 60


def download(url: str, target: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write what is at `url` to `target`; `progress` is told bytes done and, or 0 if not known, of all.

    Raises:
        DataError: if that fails, or ends early.
    """
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer, atomic_path(target) as temporary:
            total = int(answer.headers.get("Content-Length") or 0)
            with temporary.open("wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    done += len(block)
                    if progress:
                        progress(done, total)
            if total and done != total:
                raise DataError(f"`{url}` ended after {done} of {total} bytes; try again")
    except (urllib.error.URLError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"`{url}` could not be fetched: {error}") from error
