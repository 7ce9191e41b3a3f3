"""Registry of tokenizers: the modules of this package, and plug-ins of the group `sidkit.tokenizers`.

A module or subpackage of `sidkit.tokenizers` is named after the method of its tokenizer, and the class is the
first name in its `__all__`.
"""

from pathlib import Path
from typing import Any

from sidkit._registry import Registry, discover

__all__ = ["TOKENIZERS"]

#: Modules that are not tokenizers of single items.
_OTHERS = ("actionpiece", "base", "parts", "quality", "registry", "training")

#: Tokenizer classes by method.
TOKENIZERS: Registry[Any] = Registry(
    "sidkit.tokenizers",
    "tokenizer",
    discover("sidkit.tokenizers", Path(__file__).parent, skip=_OTHERS),
)
