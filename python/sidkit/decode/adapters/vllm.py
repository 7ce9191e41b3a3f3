"""Logits processor of vLLM (V1 engine) that restricts requests to the Semantic IDs of a trie.

llm = LLM(
model,
logits_processors=["sidkit.decode.adapters.vllm:SemanticIdProcessor"],
additional_config={"sidkit": {"trie": "runs/demo/index.sidx", "first_token": 32000, "eos": 2}},
)
llm.generate(prompts, SamplingParams(max_tokens=5, extra_args={"semantic_id": True}))
"""

from __future__ import annotations

from typing import Any

import torch

from sidkit._extras import require
from sidkit.decode.adapters.engines import EngineMask
from sidkit.errors import ConfigError

require("vllm")

from vllm.v1.sample.logits_processor import LogitsProcessor, MoveDirectionality  # noqa: E402

__all__ = ["SemanticIdProcessor"]

_KEY = "semantic_id"


class SemanticIdProcessor(LogitsProcessor):  # type: ignore[misc]
    """Logits processor for requests with `extra_args={"semantic_id": True}`; it leaves others as they are.

    Args:
        vllm_config: configuration of the engine, whose `additional_config["sidkit"]` has the options of
            `EngineMask.of_options`.
        device: device of the logits; masks are computed on the host and copied as bits.
        is_pin_memory: not used.

    Raises:
        ConfigError: if the configuration has no valid options.
        FormatError: if the file is no trie.
    """

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        additional = vllm_config.additional_config
        options = additional.get("sidkit") if isinstance(additional, dict) else None
        if not isinstance(options, dict):
            raise ConfigError(
                'the engine has no Semantic IDs: expected additional_config={"sidkit": {"trie": PATH}}, got '
                f"{additional!r}. Pass it to `LLM` or as --additional-config."
            )
        self._mask = EngineMask.of_options(options)
        # Lists of generated token ids by the place of their request; the engine appends to them.
        self._generated: dict[int, list[int]] = {}

    @classmethod
    def validate_params(cls, sampling_params: Any) -> None:
        """Check the arguments of a request.

        Raises:
            ValueError: if `semantic_id` is not a bool.
        """
        value = (sampling_params.extra_args or {}).get(_KEY, False)
        if not isinstance(value, bool):
            raise ValueError(f"`{_KEY}` of `extra_args` is invalid: expected a bool, got {value!r}")

    def is_argmax_invariant(self) -> bool:
        """Return False: masks change the best token."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow requests that were removed, added and moved, in this order.

        Args:
            batch_update: a `BatchUpdate`, or None if no request came, went or moved.
        """
        if batch_update is None:
            return
        for place in batch_update.removed:
            self._generated.pop(place, None)
        for place, params, _, output_ids in batch_update.added:
            self._generated.pop(place, None)
            if (params.extra_args or {}).get(_KEY, False):
                self._generated[place] = output_ids
        for source, target, direction in batch_update.moved:
            moved, other = self._generated.pop(source, None), self._generated.pop(target, None)
            if moved is not None:
                self._generated[target] = moved
            if direction == MoveDirectionality.SWAP and other is not None:
                self._generated[source] = other

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Mask the logits of restricted requests in place, (requests, token ids)."""
        if not self._generated:
            return logits
        return self._mask.apply(logits, [self._generated.get(place) for place in range(len(logits))])
