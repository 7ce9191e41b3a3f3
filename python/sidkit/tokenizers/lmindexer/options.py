"""Settings of the training of LMIndexer."""

from dataclasses import dataclass

from sidkit.tokenizers.training.collapse import OnCollapse

__all__ = ["READER_WIDTH", "LMIndexerSettings"]

#: Width of the reader's hidden layer. It is small on purpose: what the reader memorizes, the codes need not
#: contain.
READER_WIDTH = 128


@dataclass(frozen=True, kw_only=True)
class LMIndexerSettings:
    """Parameters of `LMIndexer` that its training needs."""

    codebook_sizes: tuple[int, ...]
    latent_dim: int
    hint_rate: float
    contrastive_weight: float
    commitment: float
    warmup_epochs: int
    epochs_per_level: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    kmeans_init: bool
    revive_dead_codes: bool
    refit: bool
    on_collapse: OnCollapse
    seed: int
    threads: int | None
