"""Vectors of the items of a catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit._arguments import Count, checked
from sidkit.data import cache_directory
from sidkit.data.frames import to_polars
from sidkit.embed.encoder import embed_texts
from sidkit.embed.text import item_texts
from sidkit.errors import ConfigError

__all__ = ["embed_items"]


@checked
def embed_items(
    items: Any,
    *,
    model: str | os.PathLike[str] = "minilm",
    template: str | None = None,
    max_tokens: int | None = None,
    batch_size: Count = 64,
    cache: bool | str | os.PathLike[str] = True,
    progress: Callable[[int, int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Embed the text of every item with a sentence-transformers model.

    Args:
        items: n items: a DataFrame such as `Dataset.items` (polars, pandas, pyarrow, or any other table with
            the Arrow C stream interface), or a list of n texts.
        model: `minilm` (all-MiniLM-L6-v2, which needs no network), the directory of a model, or a name on the
            Hugging Face hub such as `sentence-transformers/sentence-t5-base`.
        template: text of an item with column names in braces, such as `"{title} ({year}). {brand}"`; by
            default title, brand, categories, year, price and description, as far as they exist.
        max_tokens: length at which a text is truncated, in tokens of the model; by default, and at most, the
            model's own limit (256 for `minilm`). Shorter texts embed faster.
        batch_size: texts per forward pass.
        cache: True keeps the vectors in sidkit's cache directory, so that only new texts are embedded next
            time; a path names another directory; False keeps nothing.
        progress: called as `progress(done, total)` with numbers of distinct texts.

    Returns:
        float32 (n, d), row i for the i-th item; d is the width of the model, 384 for `minilm`.

    Raises:
        ConfigError: if the model does not exist, or an argument has an invalid value.
        DataError: if there are no items, or no item has any text.

    Example:
        >>> x = embed_items(["red soap", "green soap"])  # doctest: +SKIP
        >>> x.shape  # doctest: +SKIP
        (2, 384)
    """
    texts: list[str]
    if isinstance(items, Sequence) and not isinstance(items, str) and all(isinstance(t, str) for t in items):
        if template is not None:
            raise ConfigError(
                "`template` needs a table of items: expected a DataFrame as `items`, got a list of texts. "
                "Leave `template` out."
            )
        texts = list(items)
    else:
        texts = item_texts(to_polars(items, "items"), template)
    if isinstance(cache, bool | np.bool_):
        directory: Path | None = cache_directory() / "vectors" if cache else None
    else:
        directory = Path(cache)
    return embed_texts(
        texts, model=model, batch_size=batch_size, max_tokens=max_tokens, cache=directory, progress=progress
    )
