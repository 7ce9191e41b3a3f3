"""Logits processor that restricts `generate` of transformers to the Semantic IDs of a trie."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sidkit._core import Trie, TrieStates
from sidkit._extras import require
from sidkit.errors import ConfigError, DataError
from sidkit.ids import Vocabulary

require("transformers", extra="transformers")

from transformers import LogitsProcessor  # noqa: E402

__all__ = ["TrieLogitsProcessor"]


class TrieLogitsProcessor(LogitsProcessor):
    """A `LogitsProcessor` under which a model generates only Semantic IDs that exist, and then EOS.

    It does what `prefix_allowed_tokens_fn` with a trie of dicts does, with one call of Rust per step for the
    whole batch instead of one call of Python per row. The states of the trie are computed from `input_ids` at
    every step, so beams may be reordered and one processor may serve several calls.

    | generated so far            | allowed next                              |
    |-----------------------------|-------------------------------------------|
    | the prefix of a Semantic ID | the token ids of the tokens that continue it |
    | a whole Semantic ID         | EOS                                       |
    | EOS                         | padding                                   |
    | anything else               | EOS; `dead` marks the row                 |

    The last kind are beams that a search has given up (score -inf) but still carries.

    >>> vocabulary = Vocabulary(trie.layout)
    >>> processor = TrieLogitsProcessor(trie, vocabulary)
    >>> longest = trie.layout.levels + 1
    >>> t5.generate(**inputs, logits_processor=[processor], num_beams=20, max_new_tokens=longest)

    Args:
        trie: the Semantic IDs that exist.
        vocabulary: token id of each token; its layout must be that of the trie.
        prompt_length: token ids of each row before the first generated one: 1, the decoder's start token, for
            an encoder and decoder; `inputs["input_ids"].shape[1]` for a decoder-only model. None infers it
            from the first step of every `generate`, whose `input_ids` are the prompt. Give it if `generate`
            starts in the middle of a Semantic ID, or continues its own output.
        first_token: token id of the vocabulary's token id 0, for a language model whose own token ids come
            first.
        eos: token id that ends a row; `vocabulary.eos` if None.
        pad: token id of a row that has ended; `vocabulary.pad` if None.
        in_place: write into the given scores instead of a new tensor. `output_logits` of `generate` then
            shows them masked.

    Attributes:
        dead: bool (rows,), rows of the last step that were no prefix of a Semantic ID and had not ended.

    Raises:
        ConfigError: if vocabulary and trie have other tokens, or a number is negative.
    """

    def __init__(
        self,
        trie: Trie,
        vocabulary: Vocabulary,
        *,
        prompt_length: int | None = None,
        first_token: int = 0,
        eos: int | None = None,
        pad: int | None = None,
        in_place: bool = False,
    ) -> None:
        if tuple(trie.layout.sizes) != vocabulary.sizes:
            raise ConfigError(
                f"`vocabulary` does not fit the trie: expected tokens of sizes {tuple(trie.layout.sizes)}, "
                "got "
                f"{vocabulary.sizes}. Make it with Vocabulary(trie.layout)."
            )
        self.trie = trie
        self.prompt_length = prompt_length
        self.eos = vocabulary.eos if eos is None else eos
        self.pad = vocabulary.pad if pad is None else pad
        self.in_place = in_place
        numbers = {
            "prompt_length": prompt_length or 0,
            "first_token": first_token,
            "eos": self.eos,
            "pad": self.pad,
        }
        for name, value in numbers.items():
            if value < 0:
                raise ConfigError(f"`{name}` must be 0 or more, got {value}")
        self._offsets = vocabulary.offsets.astype(np.int64) + first_token  # (levels,)
        self._tokens = max(int(self._offsets[-1]) + vocabulary.sizes[-1], self.eos + 1, self.pad + 1)
        self.dead: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._prompt: Tensor | None = None  # of the `generate` that is going on, if it is inferred
        self._length = 0  # of the rows at the last step

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Set the scores of token ids that must not come next to -inf.

        Args:
            input_ids: token ids of each row so far, integers (rows, length).
            scores: scores of the next token id, (rows, token ids), of any floating type, on any device.

        Returns:
            The masked scores: a new tensor, or `scores` with `in_place`.

        Raises:
            ConfigError: if rows are shorter than `prompt_length`.
            DataError: if the shapes do not fit each other or the vocabulary.
        """
        self._check(input_ids, scores)
        prompt_length = self._prompt_length(input_ids)
        written = input_ids[:, prompt_length:].cpu().numpy().astype(np.int64)  # (rows, depth)
        ended = (written == self.eos).any(axis=1)
        states = self._walk(written)
        self.dead = states.dead & ~ended
        last = states.depth == self.trie.layout.levels
        closing = np.flatnonzero(states.dead | ended | last)  # rows whose next token id is EOS or padding
        endings = np.where(ended[closing], self.pad, self.eos)
        places = (torch.from_numpy(closing).to(scores.device), torch.from_numpy(endings).to(scores.device))
        kept = scores[places]  # read before anything is overwritten

        block = None if last else self._allowed(states, scores)
        masked = scores if self.in_place else torch.empty_like(scores)
        masked.fill_(-torch.inf)
        if block is not None:
            first = int(self._offsets[states.depth])
            masked[:, first : first + block.shape[1]] = block
            # Rows that have ended or died cannot continue, whatever the trie allows.
            masked[places[0]] = -torch.inf
        masked[places] = kept
        return masked

    def _prompt_length(self, input_ids: Tensor) -> int:
        if self.prompt_length is not None:
            return self.prompt_length
        prompt, length = self._prompt, input_ids.shape[1]
        goes_on = (
            prompt is not None
            and length == self._length + 1
            and len(input_ids) == len(prompt)
            and input_ids.device == prompt.device
            and torch.equal(input_ids[:, : prompt.shape[1]], prompt)
        )
        if prompt is None or not goes_on:
            self._prompt = prompt = input_ids.clone()
        self._length = length
        return prompt.shape[1]

    def _check(self, input_ids: Tensor, scores: Tensor) -> None:
        if input_ids.ndim != 2 or scores.ndim != 2 or len(input_ids) != len(scores):
            raise DataError(
                "expected `input_ids` (rows, length) and `scores` (rows, token ids) of as many rows, "
                f"got {tuple(input_ids.shape)} and {tuple(scores.shape)}"
            )
        if input_ids.is_floating_point() or not scores.is_floating_point():
            raise DataError(
                f"`input_ids` must be integers and `scores` floats, got {input_ids.dtype} and {scores.dtype}"
            )
        if scores.shape[1] < self._tokens:
            raise DataError(
                f"the model has {scores.shape[1]} token ids, but the vocabulary needs {self._tokens}. "
                "Resize the model's embeddings, or see `first_token`."
            )
        if self.prompt_length is not None and input_ids.shape[1] < self.prompt_length:
            raise ConfigError(
                f"`prompt_length` is {self.prompt_length}, but rows have {input_ids.shape[1]} token ids. It "
                "is 1 "
                "for an encoder and decoder, and the width of `input_ids` for a decoder-only model."
            )

    def _walk(self, written: NDArray[np.int64]) -> TrieStates:
        """The state of each row; dead where a token id is not a token that continues the prefix."""
        states = self.trie.start(len(written))
        tokens = written[:, : len(self._offsets)]
        for token_ids, offset in zip(tokens.T, self._offsets, strict=False):
            states = self.trie.step(states, token_ids - offset)
        return states

    def _allowed(self, states: TrieStates, scores: Tensor) -> Tensor:
        """Masked scores of the tokens of one level, (rows, codes)."""
        first, size = int(self._offsets[states.depth]), self.trie.layout.sizes[states.depth]
        block = scores.detach()[:, first : first + size]
        if scores.device.type == "cpu" and scores.dtype == torch.float32:
            block = block.clone(memory_format=torch.contiguous_format)
            self.trie.mask_logits(states, block.numpy())
            return block
        # One bit per code is copied to the device and expanded there.
        words = torch.from_numpy(self.trie.bitmask(states)).to(scores.device)  # (rows, ⌈size / 32⌉)
        codes = torch.arange(size, device=scores.device)
        bits = words[:, codes // 32] >> (codes % 32).to(words.dtype) & 1
        return block.masked_fill(bits == 0, -torch.inf)
