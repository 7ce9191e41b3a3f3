"""Downloads, complete or not at all."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from sidkit._files import atomic_path
from sidkit.data.sources._base import Progress
from sidkit.errors import DataError

__all__ = ["download"]

BLOCK = 1 << 20
SECONDS = 60


def download(url: str, target: Path, progress: Progress | None = None) -> None:
    """Write the content of `url` to `target`.

    Args:
        url: address of a file.
        target: path to write; it appears only when the download is complete.
        progress: called as `progress(done, total)` with bytes; `total` is 0 if it is unknown.

    Raises:
        DataError: if the download fails or ends early.
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
                raise DataError(f"`{url}` ended early: expected {total} bytes, got {done}. Try again.")
    except (urllib.error.URLError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"`{url}` cannot be downloaded: {error}. Check the address and the network, and try again."
        ) from error
