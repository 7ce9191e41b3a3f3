"""Tries in the form that other programs use: tensors on a device, STATIC, transformers, vLLM and SGLang.

The modules `transformers`, `vllm` and `sglang` of this package need those programs, and are imported on their
own.
"""

from sidkit.decode.adapters.static_layout import StaticLayout, to_static
from sidkit.decode.adapters.tensors import TrieTensors

__all__ = ["StaticLayout", "TrieTensors", "to_static"]
