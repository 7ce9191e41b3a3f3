"""What can go wrong, as one tree.

    SidkitError
      ├─ DataError (ValueError)           a dataset, a column, a file of the user's is not as it must be
      ├─ ConfigError (ValueError)         a setting, or two settings together, make no sense
      ├─ FormatError (ValueError)         a file of ours is truncated, foreign, or of another version
      ├─ RunDirectoryError                   a run directory was made with other settings, or lacks an output
      ├─ CollisionError (ValueError)      more items share a prefix than the policy can tell apart
      ├─ NotFittedError                   a tokenizer or model is used before it was trained
      └─ MissingExtraError (ImportError)  an optional dependency is not installed; the message names the extra

Every message says what was expected, what came, and what to do.
"""

__all__ = [
    "CollisionError",
    "ConfigError",
    "DataError",
    "FormatError",
    "MissingExtraError",
    "NotFittedError",
    "RunDirectoryError",
    "SidkitError",
]


class SidkitError(Exception):
    """The root of the errors that sidkit raises on purpose.

    The core answers arrays of another shape, and tokens or items out of range, with a plain ValueError, and
    arguments of another type with a TypeError, as NumPy does.
    """


class DataError(SidkitError, ValueError):
    """A dataset, a column or a file of the user's does not have the shape it must have."""


class ConfigError(SidkitError, ValueError):
    """A setting, or two settings together, make no sense."""


class FormatError(SidkitError, ValueError):
    """A file of ours is truncated, foreign, or of another version."""


class RunDirectoryError(SidkitError):
    """A run directory was made with other settings, or lacks a stage's output."""


class CollisionError(SidkitError, ValueError):
    """More items share a prefix than the collision policy can tell apart."""


class NotFittedError(SidkitError):
    """A tokenizer or model is used before it was trained."""


class MissingExtraError(SidkitError, ImportError):
    """An optional dependency is not installed; the message names the extra to install."""
