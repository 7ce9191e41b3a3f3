"""Exceptions of sidkit.

    SidkitError
      ├─ DataError (ValueError)           invalid user data: a dataset, a column or a file
      │    └─ DataTypeError (TypeError)   an argument or an array of the wrong type
      ├─ ConfigError (ValueError)         an invalid setting, or settings that contradict each other
      ├─ FormatError (ValueError)         a file of sidkit that is truncated, foreign or of another version
      ├─ RunDirectoryError                a run directory with other settings, or without an output
      ├─ CollisionError (ValueError)      more items with one code than the collision policy can handle
      ├─ NotFittedError                   a tokenizer or recommender used before `fit`
      ├─ MissingExtraError (ImportError)  an optional dependency that is not installed
      └─ InternalError                    a defect of sidkit

Messages have one form: `<what is wrong>: expected <X>, got <Y>. <How to fix it>.`
"""

__all__ = [
    "CollisionError",
    "ConfigError",
    "DataError",
    "DataTypeError",
    "FormatError",
    "InternalError",
    "MissingExtraError",
    "NotFittedError",
    "RunDirectoryError",
    "SidkitError",
]


class SidkitError(Exception):
    """Base class of the exceptions of sidkit."""


class DataError(SidkitError, ValueError):
    """Invalid user data: a dataset, a column or a file."""


class DataTypeError(DataError, TypeError):
    """An argument or an array of the wrong type."""


class ConfigError(SidkitError, ValueError):
    """An invalid setting, or settings that contradict each other."""


class FormatError(SidkitError, ValueError):
    """A file of sidkit that is truncated, foreign or of another version."""


class RunDirectoryError(SidkitError):
    """A run directory that was made with other settings, or lacks the output of a stage."""


class CollisionError(SidkitError, ValueError):
    """More items with one code than the collision policy can handle."""


class NotFittedError(SidkitError):
    """A tokenizer or recommender that is used before `fit`."""


class MissingExtraError(SidkitError, ImportError):
    """An optional dependency that is not installed; the message names the extra to install."""


class InternalError(SidkitError):
    """A defect of sidkit: a state that its code excludes. Report the message and the call that led to it."""
