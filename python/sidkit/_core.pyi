"""The Rust core: quantization assignment, SID packing, n-gram hashing, the trie."""

from typing import Final

__version__: Final[str]
