"""Logit processor of SGLang that restricts requests to the Semantic IDs of a trie.

The server reads its options from the environment: `SIDKIT_TRIE`, and optionally `SIDKIT_FIRST_TOKEN`,
`SIDKIT_EOS` and `SIDKIT_PAD`. A request names the processor, and carries no path:

    {"text": prompt, "custom_logit_processor": SemanticIdProcessor.to_str(),
     "sampling_params": {"max_new_tokens": 5, "custom_params": {"semantic_id": true}}}
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch

from sidkit._extras import require
from sidkit.decode.adapters.engines import EngineMask

require("sglang")

from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor  # noqa: E402

__all__ = ["SemanticIdProcessor"]

_VARIABLES = {
    "trie": "SIDKIT_TRIE",
    "first_token": "SIDKIT_FIRST_TOKEN",
    "eos": "SIDKIT_EOS",
    "pad": "SIDKIT_PAD",
}


class SemanticIdProcessor(CustomLogitProcessor):  # type: ignore[misc]
    """Logit processor for requests with `custom_params={"semantic_id": true}`; others stay as they are."""

    def __call__(
        self, logits: torch.Tensor, custom_param_list: list[dict[str, Any]] | None = None
    ) -> torch.Tensor:
        """Mask the logits of restricted requests in place.

        Args:
            logits: (requests, token ids).
            custom_param_list: parameters of each request; the server adds the request as `__req__`, whose
                `output_ids` are the token ids generated so far.

        Raises:
            ConfigError: if the environment has no valid options.
        """
        generated = [
            list(params["__req__"].output_ids) if params and params.get("semantic_id") is True else None
            for params in custom_param_list or ()
        ]
        if any(ids is not None for ids in generated):
            _mask(tuple((name, os.environ.get(variable)) for name, variable in _VARIABLES.items())).apply(
                logits, generated
            )
        return logits


@cache
def _mask(options: tuple[tuple[str, str | None], ...]) -> EngineMask:
    return EngineMask.of_options({name: value for name, value in options if value is not None})
