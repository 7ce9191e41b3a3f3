"""Masks for serving engines, whose batches mix requests of any progress and requests without Semantic IDs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sidkit._core import Trie
from sidkit.decode.adapters.transformers import TrieLogitsProcessor
from sidkit.errors import ConfigError
from sidkit.ids import Vocabulary

__all__ = ["EngineMask"]

_OPTIONS = ("trie", "first_token", "eos", "pad")


class EngineMask:
    """Restriction of some rows of a batch to the Semantic IDs of a trie, then EOS.

    The state of a row follows from the token ids that it has generated, so rows may change their places
    between steps.

    Args:
        trie: the Semantic IDs that exist.
        first_token: token id of the vocabulary's token id 0 in the vocabulary of the language model.
        eos: token id that ends a row; that of the vocabulary if None.
        pad: token id after the end; that of the vocabulary if None.

    Raises:
        ConfigError: if a number is negative.
    """

    def __init__(
        self, trie: Trie, *, first_token: int = 0, eos: int | None = None, pad: int | None = None
    ) -> None:
        self._processor = TrieLogitsProcessor(
            trie, Vocabulary(trie.layout), prompt_length=0, first_token=first_token, eos=eos, pad=pad
        )

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> EngineMask:
        """Return a mask for options of a configuration.

        Args:
            options: `trie`, the path of a file that `Trie.save` wrote, such as `index.sidx` of a run; and
                optionally `first_token`, `eos` and `pad`, integers or their text.

        Raises:
            ConfigError: if an option is missing, unknown or no integer.
            FormatError: if the file is no trie.
        """
        unknown = set(options) - set(_OPTIONS)
        if unknown or "trie" not in options:
            raise ConfigError(
                f"the options of the Semantic IDs are invalid: expected `trie` and optionally "
                f"{', '.join(_OPTIONS[1:])}, got {', '.join(map(str, options)) or 'none'}. Correct "
                "their names."
            )
        numbers = {}
        for name in _OPTIONS[1:]:
            if options.get(name) is not None:
                try:
                    numbers[name] = int(options[name])
                except (TypeError, ValueError) as error:
                    raise ConfigError(
                        f"`{name}` is invalid: expected a token id, got {options[name]!r}. Correct it."
                    ) from error
        return cls(Trie.open(options["trie"], mmap=True), **numbers)

    def apply(self, logits: Tensor, generated: Sequence[Sequence[int] | None]) -> Tensor:
        """Mask logits in place.

        Args:
            logits: (rows, token ids), of any floating type, on any device.
            generated: token ids that each row has generated so far; None for a row that is not restricted.

        Returns:
            `logits`.

        Raises:
            DataError: if the logits have too few token ids.
        """
        lengths = np.array([-1 if ids is None else len(ids) for ids in generated], np.int64)
        for length in np.unique(lengths[lengths >= 0]).tolist():
            rows = np.flatnonzero(lengths == length)
            places = torch.from_numpy(rows).to(logits.device)
            token_ids = torch.tensor([list(generated[row] or ()) for row in rows.tolist()], dtype=torch.int64)
            masked = self._processor(token_ids.view(len(rows), length), logits[places])
            logits[places] = masked
        return logits
