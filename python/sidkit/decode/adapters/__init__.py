"""Tries in the form that other programs use: tensors on a device, STATIC, and `generate` of transformers.

`sidkit.decode.adapters.transformers` needs the extra `transformers` and is imported on its own.
"""

from sidkit.decode.adapters.static_layout import StaticLayout, to_static
from sidkit.decode.adapters.tensors import TrieTensors

__all__ = ["StaticLayout", "TrieTensors", "to_static"]
