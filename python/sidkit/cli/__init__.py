"""The command line: `sidkit VERB`, one file per verb in `daily` and `research`."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from sidkit._extras import require
from sidkit.errors import MissingExtraError, SidkitError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an expected error is one line on standard error and exit code 1.

    Args:
        arguments: what follows `sidkit`; those of the process by default.
    """
    try:
        _load_and_run(arguments)
    except SidkitError as error:
        if os.environ.get("SIDKIT_DEBUG"):
            raise
        _fail(str(error))
    except OSError as error:
        if os.environ.get("SIDKIT_DEBUG"):
            raise
        _fail(_system_error(error))
    except (MemoryError, RuntimeError) as error:
        # torch raises a plain RuntimeError if memory is short.
        lacks_memory = isinstance(error, MemoryError) or "allocate memory" in str(error)
        if os.environ.get("SIDKIT_DEBUG") or not lacks_memory:
            raise
        _fail(f"there is not enough memory ({_first_line(error)}); make the model, batches or beam smaller")


def _load_and_run(arguments: Sequence[str] | None) -> None:
    try:
        require("typer", extra="cli")
        require("rich", extra="cli")
    except MissingExtraError as error:
        raise MissingExtraError(f"the command line needs more than the library: {error}") from error
    from sidkit.cli.app import app

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        app(arguments, prog_name="sidkit")


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print the message; its place in the code is of no use at a terminal."""
    print(f"warning: {message}", file=sys.stderr)


def _system_error(error: OSError) -> str:
    if error.errno is None:
        return _first_line(error)
    message = os.strerror(error.errno).lower()
    where = "" if error.filename is None else f": `{error.filename}`"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{message}{where}; finished files are complete: make room and run the same command again"
    return f"{message}{where}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
