"""Keep `generate` of transformers to the Semantic IDs of a trie."""

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
    """A `LogitsProcessor` under which a model can only write Semantic IDs that exist, and then EOS.

    It does what `prefix_allowed_tokens_fn` with a dict trie does, with one call of Rust a token for the whole
    batch instead of one call of Python a row. It keeps nothing between steps: the states are walked anew from
    `input_ids`, so beams may be reordered and one processor may serve several calls.

    | a row that has written      | may write                             |
    |-----------------------------|---------------------------------------|
    | the prefix of a Semantic ID | the token_ids of the tokens that lead on |
    | a whole Semantic ID         | EOS                                   |
    | EOS                         | padding                               |
    | anything else               | EOS; `dead` marks the row             |

    The last kind are beams that a search has given up (score -inf) but still carries along.

    >>> vocabulary = Vocabulary(trie.layout)
    >>> processor = TrieLogitsProcessor(trie, vocabulary)
    >>> longest = trie.layout.levels + 1
    >>> t5.generate(**inputs, logits_processor=[processor], num_beams=20, max_new_tokens=longest)

    Args:
        trie: the Semantic IDs that exist.
        vocabulary: which token_id each token is; its layout must be the trie's.
        prompt_length: how many token_ids of each row come before the first token: 1, the decoder's start token_id,
            for an encoder and decoder; `inputs["input_ids"].shape[1]` for a decoder alone.
        first_token: what is added to the vocabulary's token_ids of tokens, for a language model that has them
            after its own token_ids.
        eos: the token_id that ends a row; `vocabulary.eos` if None.
        pad: the token_id of a row that has ended; `vocabulary.pad` if None.
        in_place: write into the scores that come instead of a new tensor. `output_logits` of `generate` then
            shows them masked.

    Attributes:
        dead: bool (rows,), which rows of the last step were no prefix of a Semantic ID and had not ended.

    Raises:
        ConfigError: if the vocabulary's tokens are not the trie's, or a number is negative.
    """

    def __init__(
        self,
        trie: Trie,
        vocabulary: Vocabulary,
        *,
        prompt_length: int = 1,
        first_token: int = 0,
        eos: int | None = None,
        pad: int | None = None,
        in_place: bool = False,
    ) -> None:
        if tuple(trie.layout.sizes) != vocabulary.sizes:
            raise ConfigError(
                f"the vocabulary has tokens of sizes {vocabulary.sizes}, but the trie holds "
                f"{tuple(trie.layout.sizes)}; make it with Vocabulary(trie.layout)"
            )
        self.trie = trie
        self.prompt_length = prompt_length
        self.eos = vocabulary.eos if eos is None else eos
        self.pad = vocabulary.pad if pad is None else pad
        self.in_place = in_place
        numbers = {
            "prompt_length": prompt_length,
            "first_token": first_token,
            "eos": self.eos,
            "pad": self.pad,
        }
        for name, value in numbers.items():
            if value < 0:
                raise ConfigError(f"`{name}` must not be negative, but it is {value}")
        self._offsets = vocabulary.offsets.astype(np.int64) + first_token  # (levels,)
        self._tokens = max(int(self._offsets[-1]) + vocabulary.sizes[-1], self.eos + 1, self.pad + 1)
        self.dead: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Set the scores of token_ids that must not come next to -inf.

        Args:
            input_ids: what each row has so far, integers (rows, length).
            scores: of the next token_id, (rows, token_ids), of any floating type, on any device.

        Returns:
            The masked scores: a new tensor, or `scores` with `in_place`.

        Raises:
            ConfigError: if rows are shorter than `prompt_length`.
            DataError: if the shapes do not fit each other or the vocabulary.
        """
        self._check(input_ids, scores)
        written = input_ids[:, self.prompt_length :].cpu().numpy().astype(np.int64)  # (rows, depth)
        ended = (written == self.eos).any(axis=1)
        states = self._walk(written)
        self.dead = states.dead & ~ended
        last = states.depth == self.trie.layout.levels
        closing = np.flatnonzero(states.dead | ended | last)  # these write EOS or padding
        endings = np.where(ended[closing], self.pad, self.eos)
        places = (torch.from_numpy(closing).to(scores.device), torch.from_numpy(endings).to(scores.device))
        kept = scores[places]  # read before anything is overwritten

        block = None if last else self._allowed(states, scores)
        masked = scores if self.in_place else torch.empty_like(scores)
        masked.fill_(-torch.inf)
        if block is not None:
            first = int(self._offsets[states.depth])
            masked[:, first : first + block.shape[1]] = block
            # What had ended or died has no way on, whatever the trie says of its tokens.
            masked[places[0]] = -torch.inf
        masked[places] = kept
        return masked

    def _check(self, input_ids: Tensor, scores: Tensor) -> None:
        if input_ids.ndim != 2 or scores.ndim != 2 or len(input_ids) != len(scores):
            raise DataError(
                "expected `input_ids` (rows, length) and `scores` (rows, token_ids) of as many rows, "
                f"not {tuple(input_ids.shape)} and {tuple(scores.shape)}"
            )
        if input_ids.is_floating_point() or not scores.is_floating_point():
            raise DataError(
                f"`input_ids` must be integers and `scores` floats, not {input_ids.dtype} and {scores.dtype}"
            )
        if scores.shape[1] < self._tokens:
            raise DataError(
                f"the model has {scores.shape[1]} token_ids, but the vocabulary needs {self._tokens}; "
                "hint: resize the embeddings, or see `first_token`"
            )
        if input_ids.shape[1] < self.prompt_length:
            raise ConfigError(
                f"`prompt_length` is {self.prompt_length}, but rows have {input_ids.shape[1]} token_ids; it is "
                "1 for an encoder and decoder, and the width of `input_ids` for a decoder alone"
            )

    def _walk(self, written: NDArray[np.int64]) -> TrieStates:
        """The state of each row; dead where a token_id is no token of its level that leads on."""
        states = self.trie.start(len(written))
        tokens = written[:, : len(self._offsets)]
        for token_ids, offset in zip(tokens.T, self._offsets, strict=False):
            states = self.trie.step(states, token_ids - offset)
        return states

    def _allowed(self, states: TrieStates, scores: Tensor) -> Tensor:
        """The masked scores of one level's tokens, (rows, codes)."""
        first, size = int(self._offsets[states.depth]), self.trie.layout.sizes[states.depth]
        block = scores.detach()[:, first : first + size]
        if scores.device.type == "cpu" and scores.dtype == torch.float32:
            block = block.clone(memory_format=torch.contiguous_format)
            self.trie.mask_logits(states, block.numpy())
            return block
        # One bit a code crosses to the device and is spread there.
        words = torch.from_numpy(self.trie.bitmask(states)).to(scores.device)  # (rows, ⌈size / 32⌉)
        codes = torch.arange(size, device=scores.device)
        bits = words[:, codes // 32] >> (codes % 32).to(words.dtype) & 1
        return block.masked_fill(bits == 0, -torch.inf)
