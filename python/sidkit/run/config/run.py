"""The whole configuration of a run."""

from typing import Annotated

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator

from sidkit._settings import Section
from sidkit.run.config.data import DataConfig
from sidkit.run.config.decode import DecodeConfig
from sidkit.run.config.embed import EmbedConfig
from sidkit.run.config.evaluate import EvaluateConfig
from sidkit.run.config.ids import IdsConfig
from sidkit.run.config.recommenders import RecommendersConfig
from sidkit.run.config.tokenize import TokenizeConfig, tokenize_config

__all__ = ["RunConfig"]


class RunConfig(Section):
    """All settings of a run; equal configurations on equal data make equal runs.

    The tables are named after the stages. `run.toml` in a run directory holds all settings with their values.

    Example:
        >>> config = RunConfig()
        >>> config.tokenize.method, config.ids.collisions
        ('rqkmeans', 'suffix')
    """

    data: DataConfig = DataConfig()
    embed: EmbedConfig = EmbedConfig()
    tokenize: Annotated[SerializeAsAny[TokenizeConfig], PlainValidator(tokenize_config)] = Field(
        default_factory=lambda: tokenize_config({})
    )
    ids: IdsConfig = IdsConfig()
    recommenders: RecommendersConfig = Field(default_factory=lambda: RecommendersConfig.model_validate({}))
    decode: DecodeConfig = DecodeConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        if max(self.evaluate.ks, default=0) > self.decode.k:
            raise ValueError(
                f"`evaluate.ks` goes up to {max(self.evaluate.ks)}, but only `decode.k` = {self.decode.k} "
                "items are kept for every user; raise `decode.k`"
            )
        tokenize = self.tokenize
        if tokenize.uses_collaborative_embeddings and tokenize.collaborative_method == "sasrec":
            heads = getattr(self.recommenders["sasrec"], "heads", 1)
            if tokenize.collaborative_dim % heads:
                raise ValueError(
                    "`tokenize.collaborative_dim` is the width of a SASRec and must be a multiple of "
                    f"`recommenders.sasrec.heads`, it is {tokenize.collaborative_dim} with {heads} heads"
                )
        return self
