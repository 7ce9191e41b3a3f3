"""What a run is made of: one section per stage, every key documented, unknown keys refused.

`RunConfig` is what `run.toml` holds once every default has been filled in. The names of the sections are the
names of the stages; sizes are counts unless the name carries a unit.
"""

from typing import Literal

from pydantic import Field, model_validator

from sidkit.run.config.section import Count, Depth, Fraction, NonNegative, Positive, Seed, Width
from sidkit.run.config.section import Section as _Section
from sidkit.run.config.tokenize import TokenizeConfig

__all__ = [
    "GENERATIVE_MODELS",
    "ActionPieceConfig",
    "ActionPieceTrainingConfig",
    "DataConfig",
    "DecodeConfig",
    "DecoderOnlyConfig",
    "DecoderOnlyTrainingConfig",
    "EmbedConfig",
    "EvaluateConfig",
    "GeneratorTrainingConfig",
    "Gru4recConfig",
    "IdsConfig",
    "ModelName",
    "ModelsConfig",
    "PassesTrainingConfig",
    "RqTransformerConfig",
    "RqTransformerTrainingConfig",
    "RunConfig",
    "SasrecConfig",
    "SoftmaxTrainingConfig",
    "TigerConfig",
    "TigerTrainingConfig",
    "TokenizeConfig",
    "TrainConfig",
    "TrainingConfig",
    "reads_content",
]

ModelName = Literal["popularity", "sasrec", "gru4rec", "tiger", "actionpiece", "rqtransformer", "decoderonly"]

GENERATIVE_MODELS: frozenset[str] = frozenset({"tiger", "actionpiece", "rqtransformer", "decoderonly"})
"""The models that write Semantic IDs."""


class DataConfig(_Section):
    """Which data, and how it is split."""

    source: str = "ml-100k"
    """A built-in name, or a folder with `interactions` and `items` as Parquet or CSV."""
    min_user_events: int = Field(default=0, ge=0, le=2**31 - 1)
    """Users with fewer events are left out (k-core, repeated until it holds)."""
    min_item_events: int = Field(default=0, ge=0, le=2**31 - 1)
    """Items with fewer events are left out (k-core, repeated until it holds)."""
    unknown_items: Literal["error", "drop"] = "error"
    """What to do with events whose item is not in `items`: refuse the data, or leave such events out."""
    split: Literal["leave_last_out", "global_time"] = "leave_last_out"
    """`leave_last_out`: every user's last event is the test, the one before it validation."""
    ties: Literal["source", "shuffle"] = "source"
    """The order of events with equal times: that of the file, or shuffled with `seed`."""
    seed: Seed = 0
    """Seed of the shuffle of ties."""


class EmbedConfig(_Section):
    """Which vectors stand for the items."""

    model: str = "minilm"
    """`minilm` (comes in a wheel, needs no network) or the name of any sentence-transformers model."""
    template: str | None = None
    """Text of an item, such as `{title}. {categories}`; without one, all text columns are used."""
    vectors: str | None = None
    """A file of precomputed vectors (`.npy`, `.safetensors`, Parquet); then no model is used."""
    batch_size: Count = 64
    """Texts encoded at once."""


class IdsConfig(_Section):
    """How items with equal codes are told apart."""

    collisions: Literal["suffix", "reassign", "share"] = "suffix"
    """`suffix` appends a token (TIGER), `reassign` takes the next-nearest free code, `share` leaves them."""
    reassign: Literal["first", "nearest", "sinkhorn"] = "first"
    """Who keeps a code under `reassign`: the first items of the catalogue, those nearest to what it stands
    for (deferred acceptance), or whom entropic transport gives it, so that all are moved little."""

    @model_validator(mode="after")
    def _a_method_has_its_policy(self) -> "IdsConfig":
        if self.reassign != "first" and self.collisions != "reassign":
            raise ValueError(
                f'`reassign` is "{self.reassign}", but `collisions` is "{self.collisions}"; leave it out, or '
                'set `collisions` to "reassign"'
            )
        return self


def _check_heads(d_model: int, heads: int) -> None:
    if d_model % heads:
        raise ValueError(f"`d_model` must be a multiple of `heads`, it is {d_model} with {heads} heads")


class SasrecConfig(_Section):
    """Sizes of SASRec."""

    d_model: Width = 128
    """Width of the model."""
    layers: Depth = 2
    """Transformer blocks."""
    heads: Width = 2
    """Attention heads."""
    dropout: Fraction = 0.3
    """Share of activations dropped in training."""
    max_items: Width = 50
    """Items of a history that are read, the latest ones."""

    @model_validator(mode="after")
    def _heads_part_the_width(self) -> "SasrecConfig":
        _check_heads(self.d_model, self.heads)
        return self


class Gru4recConfig(_Section):
    """Sizes of GRU4Rec."""

    d_model: Width = 128
    """Width of item vectors and of the recurrent state."""
    layers: Depth = 1
    """Recurrent layers."""
    dropout: Fraction = 0.3
    """Share of activations dropped in training."""
    max_items: Width = 50
    """Items of a history that are read, the latest ones."""


class _TigerSizes(_Section):
    """Sizes of TIGER's transformer."""

    d_model: Width = 128
    """Width of the model."""
    encoder_layers: Depth = 4
    """Blocks of the bidirectional encoder."""
    decoder_layers: Depth = 4
    """Blocks of the autoregressive decoder."""
    heads: Width = 6
    """Attention heads."""
    d_head: Width = 64
    """Width of a head."""
    d_ff: Width = 1024
    """Width of the feed-forward layer."""
    dropout: Fraction = 0.1
    """Share of activations dropped in training."""
    max_items: Width = 20
    """Items of a history that are read, the latest ones."""


class TigerConfig(_TigerSizes):
    """Sizes of TIGER (Rajput et al., NeurIPS 2023, section 4)."""

    user_buckets: int = Field(default=0, ge=0, le=2**31 - 1)
    """Buckets into which users are hashed for the token in front of the history; 0 for no such token."""


class ActionPieceConfig(_TigerSizes):
    """Sizes of ActionPieceTIGER: those of TIGER, and of its vocabulary."""

    vocabulary: Count = 10_000
    """Tokens of which histories are made, at most: the tokens of all levels, and what is merged of them."""
    views: int = Field(default=5, ge=1, le=5)
    """In how many ways a history is read to recommend; their probabilities are averaged."""


class RqTransformerConfig(_Section):
    """Sizes of RQTransformer."""

    d_model: Width = 256
    """Width of the model."""
    layers: Depth = 2
    """Transformer blocks over the items of a history, or GRUs."""
    heads: Width = 4
    """Attention heads."""
    dropout: Fraction = 0.4
    """Share of activations dropped in training."""
    max_items: Width = 50
    """Items of a history that are read, the latest ones."""
    content: bool = True
    """Whether the items' vectors are read beside their Semantic IDs."""
    backbone: Literal["attention", "gru"] = "attention"
    """What reads a history: causal attention, or GRUs."""
    dense: bool = False
    """Whether a softmax over all items is trained beside the tokens; then it ranks too, and so do both."""

    @model_validator(mode="after")
    def _heads_part_the_width(self) -> "RqTransformerConfig":
        _check_heads(self.d_model, self.heads)
        return self


class DecoderOnlyConfig(_Section):
    """Sizes of DecoderOnly."""

    d_model: Width = 128
    """Width of the model."""
    layers: Depth = 4
    """Transformer blocks over the tokens of a history."""
    heads: Width = 4
    """Attention heads."""
    dropout: Fraction = 0.1
    """Share of activations dropped in training."""
    max_items: Width = 50
    """Items of a history that are read, the latest ones."""

    @model_validator(mode="after")
    def _heads_part_the_width(self) -> "DecoderOnlyConfig":
        if self.d_model % (2 * self.heads):
            raise ValueError(
                f"`d_model` must be an even multiple of `heads`, it is {self.d_model} with {self.heads} heads"
            )
        return self


class ModelsConfig(_Section):
    """Which recommenders, and their sizes."""

    use: list[ModelName] = Field(default=["popularity", "sasrec", "rqtransformer"])
    """The models of this run, in the order in which they are trained."""
    sasrec: SasrecConfig = SasrecConfig()
    gru4rec: Gru4recConfig = Gru4recConfig()
    tiger: TigerConfig = TigerConfig()
    actionpiece: ActionPieceConfig = ActionPieceConfig()
    rqtransformer: RqTransformerConfig = RqTransformerConfig()
    decoderonly: DecoderOnlyConfig = DecoderOnlyConfig()

    @model_validator(mode="after")
    def _each_once(self) -> "ModelsConfig":
        if not self.use or len(set(self.use)) != len(self.use):
            raise ValueError(f"`use` names at least one model and each at most once, it is {self.use}")
        return self


class TrainingConfig(_Section):
    """Training of one model with AdamW, linear warm-up and a cosine to zero."""

    max_steps: Count = 3500
    """Steps of the whole training; the learning rate falls as a cosine over all of them."""
    batch_size: Count = 128
    """Examples of a step: sequences (SASRec), or prefixes of sequences (TIGER)."""
    learning_rate: Positive = 1e-3
    """Highest learning rate."""
    weight_decay: NonNegative = 0.01
    """Weight decay, on matrices only."""
    warmup_steps: int = Field(default=200, ge=0)
    """Steps until the highest learning rate."""
    clip_norm: NonNegative = 1.0
    """Longest gradient; 0 for no limit."""
    weight_averaging: Fraction = 0.0
    """Share of the training over which weights are averaged before they are judged and kept; 0 for none."""
    patience: int = Field(default=5, ge=0)
    """Stop after so many evaluations without a better NDCG@10 on the validation items; 0 for never."""
    evaluate_every_steps: Count = 175
    """Steps between two evaluations on the validation items."""
    validate_users: Count = 2000
    """Users of such an evaluation."""
    checkpoint_every_seconds: NonNegative = 120.0
    """Seconds of training that a crash may cost."""
    precision: Literal["auto", "f32", "bf16"] = "auto"
    """`auto` multiplies matrices in bf16 where the processor has instructions for it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model is trained and validated; `auto` takes a GPU if there is one."""
    measure_gemm: bool = True
    """Whether a plain matrix product is timed first (0.2 s), for the training's share of its speed."""
    shuffle_ties: bool = False
    """Whether training events with equal times are put in a new random order at every epoch."""
    seed: Seed = 0
    """Seed of weights, batches and dropout."""


class GeneratorTrainingConfig(_Section):
    """What is trained otherwise than tokens as they are, beside the keys of every training."""

    label_smoothing: Fraction = 0.0
    """Share of a target that is spread evenly over the tokens that it could be."""
    token_masking: Fraction = 0.0
    """Share of the tokens read that are hidden (by RQTransformer with those after them)."""


class TigerTrainingConfig(TrainingConfig, GeneratorTrainingConfig):
    """The same keys with TIGER's defaults; every prefix of a history is an example."""

    max_steps: Count = 20_000
    batch_size: Count = 256
    weight_decay: NonNegative = 0.035
    warmup_steps: int = Field(default=1000, ge=0)
    evaluate_every_steps: Count = 1000


class ActionPieceTrainingConfig(TigerTrainingConfig):
    """The same keys and defaults; every epoch reads the histories in other pieces."""


class PassesTrainingConfig(TrainingConfig):
    """The same keys for a training whose length is given in passes over the data."""

    epochs: Positive = 12.0
    """Passes over all histories, if `max_steps` is 0."""
    weight_averaging: Fraction = 0.2
    max_steps: int = Field(default=0, ge=0, le=2**31 - 1)
    """Steps of the whole training; 0 for what `epochs` need."""
    evaluate_every_steps: int = Field(default=0, ge=0, le=2**31 - 1)
    """Steps between two evaluations on the validation items; 0 for those of an epoch."""


class SoftmaxTrainingConfig(PassesTrainingConfig):
    """The same keys for a model that scores all items."""

    epochs: Positive = 20.0
    weight_averaging: Fraction = 0.0
    loss: Literal["full", "sampled"] = "full"
    """The softmax over all items, or an estimate of it from a sample, with log-q correction."""
    negatives: Count = 2048
    """Items in a sample, one for all positions of a step (`sampled`)."""
    negatives_by: Literal["uniform", "popularity"] = "uniform"
    """Whether all items are as likely in a sample, or by how often they occur (`sampled`)."""


class RqTransformerTrainingConfig(PassesTrainingConfig, GeneratorTrainingConfig):
    """The same keys for RQTransformer."""

    dense_weight: NonNegative = 1.0
    """Weight of the loss of the softmax over all items, beside that of the tokens."""


class DecoderOnlyTrainingConfig(PassesTrainingConfig, GeneratorTrainingConfig):
    """The same keys with DecoderOnly's defaults."""

    epochs: Positive = 40.0
    weight_decay: NonNegative = 0.035


class TrainConfig(_Section):
    """Training, one table per model."""

    sasrec: SoftmaxTrainingConfig = SoftmaxTrainingConfig()
    gru4rec: SoftmaxTrainingConfig = SoftmaxTrainingConfig()
    tiger: TigerTrainingConfig = TigerTrainingConfig()
    actionpiece: ActionPieceTrainingConfig = ActionPieceTrainingConfig()
    rqtransformer: RqTransformerTrainingConfig = RqTransformerTrainingConfig()
    decoderonly: DecoderOnlyTrainingConfig = DecoderOnlyTrainingConfig()


class DecodeConfig(_Section):
    """How items are recommended to every test user."""

    beam: Count = 50
    """Prefixes kept at every level by a generator."""
    k: Count = 50
    """Items kept for every user, of every model."""
    exclude_seen: bool = False
    """Whether items of the history are never recommended."""
    batch_size: Count = 64
    """Users decoded at once."""

    @model_validator(mode="after")
    def _beam_holds_k(self) -> "DecodeConfig":
        if self.beam < self.k:
            raise ValueError(f"`beam` is at least `k`, it is {self.beam} against {self.k}")
        return self


class EvaluateConfig(_Section):
    """Which figures are computed from the predictions."""

    ks: list[Count] = Field(default=[5, 10, 20])
    """Cut-offs K of Recall@K, NDCG@K and MRR@K."""
    bootstrap_samples: Count = 1000
    """Resamples of users behind each 95 % interval."""
    seed: Seed = 0
    """Seed of the resampling."""

    @model_validator(mode="after")
    def _some_cut_offs(self) -> "EvaluateConfig":
        if not self.ks or len(set(self.ks)) != len(self.ks):
            raise ValueError(f"`ks` holds at least one cut-off and each once, it is {self.ks}")
        return self


class RunConfig(_Section):
    """Everything that decides what a run makes; equal configurations on equal data make equal runs.

    Example:
        >>> config = RunConfig()
        >>> config.tokenize.levels, config.ids.collisions
        (3, 'suffix')
    """

    data: DataConfig = DataConfig()
    embed: EmbedConfig = EmbedConfig()
    tokenize: TokenizeConfig = TokenizeConfig()
    ids: IdsConfig = IdsConfig()
    models: ModelsConfig = ModelsConfig()
    train: TrainConfig = TrainConfig()
    decode: DecodeConfig = DecodeConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        if max(self.evaluate.ks, default=0) > self.decode.k:
            raise ValueError(
                f"`evaluate.ks` goes up to {max(self.evaluate.ks)}, but only `decode.k` = {self.decode.k} "
                "items are kept for every user; raise `decode.k`"
            )
        tokenize, heads = self.tokenize, self.models.sasrec.heads
        if tokenize.behaviour_from == "sasrec" and tokenize.behaviour_dim % heads:
            raise ValueError(
                "`tokenize.behaviour_dim` is the width of a SASRec and must be a multiple of "
                f"`models.sasrec.heads`, it is {tokenize.behaviour_dim} with {heads} heads"
            )
        return self


def reads_content(config: RunConfig, model: ModelName) -> bool:
    """Whether the model reads the items' vectors."""
    return bool(getattr(getattr(config.models, model, None), "content", False))
