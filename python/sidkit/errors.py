"""Exceptions of sidkit.

    SidkitError
      ├─ DataError (ValueError)           invalid user data: a dataset, a column or a file
      ├─ ConfigError (ValueError)         an invalid setting, or settings that contradict each other
      ├─ FormatError (ValueError)         a file of sidkit that is truncated, foreign or of another version
      ├─ RunDirectoryError                a run directory with other settings, or without an output
      ├─ CollisionError (ValueError)      more items with one code than the collision policy can handle
      ├─ NotFittedError                   a tokenizer or recommender used before `fit`
      └─ MissingExtraError (ImportError)  an optional dependency that is not installed

Messages have one form: `<what is wrong>: expected <X>, got <Y>. <How to fix it>.`
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
    """Base class of the exceptions of sidkit.

    The compiled core raises a plain ValueError for arrays of the wrong shape and for tokens or items out of
    range, and a TypeError for arguments of the wrong type, as NumPy does.
    """


class DataError(SidkitError, ValueError):
    """Invalid user data: a dataset, a column or a file."""


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
