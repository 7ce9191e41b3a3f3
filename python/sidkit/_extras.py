"""Import of optional dependencies."""

import importlib
from types import ModuleType

from sidkit.errors import MissingExtraError

__all__ = ["require"]


def require(module: str, *, extra: str | None = None) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: dotted name of a third-party module, such as `torch`.
        extra: extra of sidkit that includes it, such as `train`; None if it belongs to no extra.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: if the module is not installed; the message names what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        needed = package if extra is None else f"'sidkit[{extra}]'"
        raise MissingExtraError(
            f"`{module}` is not installed, and this part of sidkit needs it. "
            f"Install it with: pip install {needed}"
        ) from error
