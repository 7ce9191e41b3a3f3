"""The table `[tokenize]`: a tokenizer with its options, and the vectors that it learns from."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from sidkit._registry import Registry
from sidkit._settings import Count, Width, settings_model
from sidkit.run.config.by_method import MethodSettings, settings_by_method
from sidkit.tokenizers.registry import TOKENIZERS

__all__ = ["DEFAULT_TOKENIZER", "TokenizeConfig", "tokenize_config", "tokenizer_settings"]

_MOST_BITS = 128

DEFAULT_TOKENIZER = "rqkmeans"


class TokenizeConfig(MethodSettings):
    """Settings of the stage; those of the tokenizer follow, see its class."""

    registry: ClassVar[Registry[Any]] = TOKENIZERS

    vectors: Literal["content", "collaborative", "hybrid"] = "content"
    """Vectors that are tokenized: those of `embed`; collaborative embeddings of the training histories; or
    both concatenated, each with its share of the variance."""
    collaborative_method: Literal["pmi", "als", "sasrec"] = "pmi"
    """Collaborative embeddings from co-occurrence (`pmi`), from matrix factorization (`als`, by the package
    `implicit`), or from the items of a SASRec that is trained with the settings of `recommenders.sasrec`."""
    collaborative_dim: Width = 64
    """Dimensions of the collaborative embeddings."""
    collaborative_window: Count = 10
    """Largest distance of two co-occurring events in a history (`pmi`)."""
    collaborative_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of the variance that the collaborative embeddings have (`hybrid`)."""

    @property
    def uses_histories(self) -> bool:
        """True if the training histories decide the codes."""
        return self.uses_collaborative_embeddings or "histories" in self.fit_inputs

    @property
    def uses_collaborative_embeddings(self) -> bool:
        """True if collaborative embeddings are made."""
        return self.vectors != "content" or "collaborative_embeddings" in self.fit_inputs

    @property
    def fit_inputs(self) -> tuple[str, ...]:
        """Inputs of the tokenizer's `fit` besides vectors."""
        return tuple(getattr(self.build(), "fit_inputs", ()))

    @model_validator(mode="before")
    @classmethod
    def _blocks_keep_their_variance(cls, values: Any) -> Any:
        """Leave collaborative and hybrid vectors as they are, unless standardization is asked for."""
        if not isinstance(values, Mapping) or values.get("vectors", "content") == "content":
            return values
        if "standardize" not in cls.model_fields or "standardize" in values:
            return values
        return {**values, "standardize": False}

    @model_validator(mode="after")
    def _fits_into_a_sid(self) -> "TokenizeConfig":
        _check_bits(self)
        return self

    @model_validator(mode="after")
    def _collaborative_options_have_a_use(self) -> "TokenizeConfig":
        if self.collaborative_method == "pmi":
            return self
        if not self.uses_collaborative_embeddings:
            raise ValueError(
                f'`collaborative_method` is "{self.collaborative_method}", but nothing uses collaborative '
                'embeddings; set `vectors` to "collaborative" or "hybrid", or choose a tokenizer that does'
            )
        if self.collaborative_window != type(self).model_fields["collaborative_window"].default:
            raise ValueError(
                '`collaborative_window` belongs to `collaborative_method` "pmi", but that is '
                f'"{self.collaborative_method}"; leave it out'
            )
        return self


def _check_bits(settings: TokenizeConfig) -> None:
    levels, codebook_size = getattr(settings, "levels", 1), getattr(settings, "codebook_size", 1)
    sizes = codebook_size if isinstance(codebook_size, list) else [codebook_size] * levels
    bits = [(size - 1).bit_length() for size in sizes]
    if sum(bits) > _MOST_BITS:
        sum_of = f"{len(bits)} x {bits[0]}" if len(set(bits)) == 1 else " + ".join(map(str, bits))
        raise ValueError(
            f"`levels` x bits of `codebook_size` is {sum_of} = {sum(bits)}, but a Semantic ID holds at most "
            f"{_MOST_BITS} bits"
        )


def tokenize_config(values: Any) -> TokenizeConfig:
    """Check the table `[tokenize]`; without a `method` it is that of `rqkmeans`."""
    return settings_by_method(values, TokenizeConfig, default=DEFAULT_TOKENIZER)


def tokenizer_settings(method: str) -> type[TokenizeConfig]:
    """Return the model of the table for one method.

    Raises:
        ConfigError: if there is no such tokenizer.
    """
    return settings_model(TOKENIZERS[method], TokenizeConfig)
