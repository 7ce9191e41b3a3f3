"""The table `[embed]`: the content vector of every item."""

from sidkit._settings import Count, Section

__all__ = ["EmbedConfig"]


class EmbedConfig(Section):
    """Text encoder, or a file of vectors."""

    model: str = "minilm"
    """`minilm` (comes in a wheel, needs no network), or the name of any sentence-transformers model."""
    template: str | None = None
    """Text of an item, such as `{title}. {categories}`; all text columns if not given."""
    vectors: str | None = None
    """File of precomputed vectors (`.npy`, `.safetensors`, Parquet); no text is encoded then."""
    max_tokens: Count | None = None
    """Tokens of a text that are encoded, at most; the limit of the model if not given."""
    batch_size: Count = 64
    """Texts encoded at once."""
