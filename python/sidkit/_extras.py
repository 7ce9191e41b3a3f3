"""Imports of optional dependencies that fail with the name of the extra to install."""

import importlib
from types import ModuleType

from sidkit.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Args:
        module: the dotted name of a third-party module, such as `torch`.
        extra: the extra of sidkit that depends on it, such as `train`.

    Raises:
        MissingExtraError: if the module's distribution is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"`{module}` is not installed, and this part of sidkit needs it; "
            f"install it with: pip install 'sidkit[{extra}]'"
        ) from error
