"""The table `tokenize` of `run.toml`: which tokenizer, and the options that belong to it."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from sidkit.run.config.section import Count, Depth, Fraction, NonNegative, Positive, Section, Seed, Width

__all__ = ["METHODS", "TokenizeConfig", "takes"]

Method = Literal[
    "rqkmeans",
    "rqvae",
    "vq",
    "vqvae",
    "rvq",
    "hkmeans",
    "pq",
    "opq",
    "lsh",
    "random",
    "atomic",
    "cooccurrence",
    "words",
    "lmindexer",
]

_KMEANS = ("rqkmeans", "vq", "hkmeans", "pq", "opq")
_AUTOENCODERS = ("rqvae", "vqvae")
_GRADIENTS = (*_AUTOENCODERS, "rvq")
_READERS = ("lmindexer",)
_TRAINED = (*_GRADIENTS, *_READERS)
_VECTORS = (*_KMEANS, *_TRAINED)

#: Which methods an option belongs to; those that are not here belong to all. Every option of a method is an
#: argument of its tokenizer, of the same name but for `mini_batch`.
_BELONGS: dict[str, tuple[str, ...]] = {
    "iterations": _KMEANS,
    "standardize": _VECTORS,
    "start": ("rqkmeans", "vq", "hkmeans"),
    "balanced": ("rqkmeans", "vq", "hkmeans", "cooccurrence"),
    "mini_batch": ("rqkmeans", "vq"),
    "rounds": ("opq",),
    "epochs": _GRADIENTS,
    "plain_epochs": (*_AUTOENCODERS, *_READERS),
    "latent": _AUTOENCODERS,
    "hidden": _AUTOENCODERS,
    "learning_rate": _TRAINED,
    "weight_decay": (*_AUTOENCODERS, *_READERS),
    "commitment": (*_AUTOENCODERS, *_READERS),
    "batch_size": _TRAINED,
    "whiten": _AUTOENCODERS,
    "update": _AUTOENCODERS,
    "decay": _AUTOENCODERS,
    "estimator": _AUTOENCODERS,
    "temperature": _AUTOENCODERS,
    "distance": _AUTOENCODERS,
    "sinkhorn": _AUTOENCODERS,
    "sinkhorn_epsilon": _AUTOENCODERS,
    "kmeans_start": _TRAINED,
    "reset": _TRAINED,
    "refit": (*_AUTOENCODERS, *_READERS),
    "on_collapse": (*_AUTOENCODERS, *_READERS),
    "components": _READERS,
    "vocabulary": _READERS,
    "hints": _READERS,
    "contrast": _READERS,
    "level_epochs": _READERS,
}
#: The same of options that are no arguments of a tokenizer, but of losses that are added to its own.
_LOSSES: dict[str, tuple[str, ...]] = {
    "behaviour": ("rqvae",),
    "collaborative_weight": ("rqvae",),
    "diversity_weight": ("rqvae",),
    "contrast_weight": ("rqvae",),
}
#: Methods whose number of codes follows from the items.
_WITHOUT_SIZES = ("atomic",)
#: Methods of one level; `levels` is 1, or is left at its default.
_ONE_LEVEL = ("vq", "vqvae")
_MOST_BITS = 128


def _sizes(value: Any) -> Any:
    sizes = value if isinstance(value, list) else [value]
    if not sizes or any(type(size) is not int or not 1 <= size <= 65536 for size in sizes):
        raise ValueError(f"one integer in 1..65536, or a list of one a level, is needed; it is {value!r}")
    return value


class TokenizeConfig(Section):
    """How vectors become codes. An option of another method than the chosen one is refused, not ignored."""

    method: Method = "rqkmeans"
    """The tokenizer: `rqkmeans` (residual k-means), `rqvae` (residual-quantized autoencoder), `rvq` (residual
    codebooks trained by gradients), `vq` and `vqvae` (one level of k-means, or of an autoencoder), `hkmeans`
    (paths in a tree of clusters; take fewer codes, such as 32), `pq` and `opq` (product quantization, without
    and with a rotation; unordered codes), `cooccurrence` (paths of a clustering of what occurs together; take
    fewer codes too), `words` (phrases of the items' own words; take more, such as 4096), `lmindexer`
    (residual codes trained to tell the words of the items' texts), and the controls `lsh`, `random` and
    `atomic` (one code an item, whatever `levels` and `codebook_size` say)."""
    levels: Depth = 3
    """Codes of an item."""
    codebook_size: Annotated[int | list[int], BeforeValidator(_sizes)] = 256
    """Codes of every level; one number, or a list of one a level."""
    iterations: Count = 25
    """Rounds of k-means a level; with `mini_batch`, passes over the vectors (k-means of any kind)."""
    standardize: bool | None = None
    """Give every dimension mean 0 and variance 1 first; the default where `vectors` is `content` (all that
    learn from vectors)."""
    start: Literal["bisect", "kmeans++"] | None = None
    """First codewords of k-means; `bisect` by default (`rqkmeans`, `vq`, `hkmeans`)."""
    balanced: bool | None = None
    """Learn codewords from clusters of equal size (`rqkmeans`, `vq`, `hkmeans`, `cooccurrence`)."""
    mini_batch: Count | None = None
    """Learn from mini-batches of so many vectors (`rqkmeans`, `vq`)."""
    rounds: Count | None = None
    """Rounds of learning the rotation (`opq`)."""
    epochs: Count = 300
    """Passes over the vectors (`rqvae`, `vqvae`, `rvq`)."""
    plain_epochs: int | None = None
    """How many passes are without quantization (`rqvae`, `vqvae`, `lmindexer`)."""
    latent: Width = 32
    """Dimensions between encoder and codebooks (`rqvae`, `vqvae`)."""
    hidden: list[Width] = Field(default=[512, 256, 128])
    """Widths of the encoder's hidden layers, and backwards of the decoder's (`rqvae`, `vqvae`)."""
    learning_rate: Positive = 2e-3
    """Learning rate of Adam (`rqvae`, `vqvae`, `rvq`, `lmindexer`)."""
    weight_decay: NonNegative | None = None
    """Weight decay of AdamW (`rqvae`, `vqvae`, `lmindexer`)."""
    commitment: NonNegative | None = None
    """Weight of the commitment loss: of latents to codewords (`rqvae`, `vqvae`), or of the levels that are
    done to their tokens (`lmindexer`)."""
    batch_size: Count = 1024
    """Vectors in a step (`rqvae`, `vqvae`, `rvq`, `lmindexer`)."""
    whiten: Width | None = None
    """Quantize so many whitened principal components (`rqvae`, `vqvae`)."""
    update: Literal["gradient", "ema"] | None = None
    """How codebooks follow the latents (`rqvae`, `vqvae`)."""
    decay: Fraction | None = None
    """Decay of the running averages of `update = "ema"` (`rqvae`, `vqvae`)."""
    estimator: Literal["straight-through", "rotation", "gumbel"] | None = None
    """How the gradient gets past the choice of codes (`rqvae`, `vqvae`)."""
    temperature: Positive | None = None
    """First temperature of `estimator = "gumbel"` (`rqvae`, `vqvae`)."""
    distance: Literal["l2", "cosine"] | None = None
    """Codes by distance or by angle (`rqvae`, `vqvae`)."""
    sinkhorn: Literal["none", "last", "all"] | None = None
    """Levels whose codes are balanced in training (`rqvae`, `vqvae`)."""
    sinkhorn_epsilon: Positive | None = None
    """How soft that balance is (`rqvae`, `vqvae`)."""
    kmeans_start: bool | None = None
    """Start codebooks from k-means (`rqvae`, `vqvae`, `rvq`, `lmindexer`)."""
    reset: bool | None = None
    """Set codes anew that nothing chose for an epoch (`rqvae`, `vqvae`, `rvq`, `lmindexer`)."""
    refit: bool | None = None
    """k-means of the final latents (`rqvae`, `vqvae`, `lmindexer`)."""
    on_collapse: Literal["repair", "stop", "warn"] | None = None
    """What is done about codebooks that collapse in training (`rqvae`, `vqvae`, `lmindexer`)."""
    components: Width | None = None
    """Dimensions of the mapped vectors, at most (`lmindexer`)."""
    vocabulary: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Words, and pairs of words, that tokens are trained to tell, at most (`lmindexer`)."""
    hints: Fraction | None = None
    """Share of a text's words that are given away when the training of a level begins (`lmindexer`)."""
    contrast: NonNegative | None = None
    """Weight of telling an item from those that share its prefix (`lmindexer`)."""
    level_epochs: Count | None = None
    """Passes over the items for each level (`lmindexer`)."""
    seed: Seed = 0
    """Seed of initialization and of batches."""
    vectors: Literal["content", "behaviour", "joined"] = "content"
    """What is quantized: the vectors of `embed`; vectors of what occurs together in the training histories;
    or both side by side, each with its share of the variance."""
    behaviour_weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of behaviour (`joined`)."""
    behaviour_dim: Width = 64
    """Dimensions of the vectors of behaviour."""
    behaviour_window: Count = 10
    """Events of a history occur together that are at most so many places apart (`pmi`, `cooccurrence`)."""
    behaviour_from: Literal["pmi", "als", "sasrec"] = "pmi"
    """Where vectors of behaviour come from, for `vectors` and for LETTER's loss: what occurs together
    (`pmi`), a factorization of who met what (`als`, by the package `implicit`), or the items of a SASRec
    (`sasrec`), `behaviour_dim` wide, trained as `models.sasrec` and `train.sasrec` say, but to the end."""
    behaviour: Literal["letter", "cost"] | None = None
    """Losses that are added to those of `rqvae`: LETTER's, which draw items together that occur together, or
    CoST's, which keeps neighbours apart."""
    collaborative_weight: NonNegative | None = None
    """Weight of LETTER's collaborative loss (`rqvae`)."""
    diversity_weight: NonNegative | None = None
    """Weight of LETTER's diversity loss (`rqvae`)."""
    contrast_weight: NonNegative | None = None
    """Weight of CoST's loss (`rqvae`)."""

    @property
    def learns_from_histories(self) -> bool:
        """Whether the training histories decide the codes."""
        return self.reads_behaviour or self.method == "cooccurrence"

    @property
    def reads_behaviour(self) -> bool:
        """Whether vectors of behaviour are made."""
        return self.vectors != "content" or self.behaviour == "letter"

    @property
    def learns_from_texts(self) -> bool:
        """Whether the items' texts decide the codes, beside their vectors."""
        return self.method in ("words", *_READERS)

    def arguments(self) -> dict[str, Any]:
        """What the tokenizer of the method is made with; options that are unset are left to it."""
        if self.method in _WITHOUT_SIZES:
            return {}
        chosen: dict[str, Any] = {"codebook_size": self.codebook_size}
        if self.method not in _ONE_LEVEL:
            chosen["levels"] = self.levels
        if self.method != "words":
            chosen["seed"] = self.seed
        if self.method == "cooccurrence":
            chosen["window"] = self.behaviour_window
        if self.vectors != "content" and self.method in _BELONGS["standardize"]:
            # Blocks of behaviour and content have their shares of the variance already.
            chosen["standardize"] = False
        for option, methods in _BELONGS.items():
            value = getattr(self, option)
            if self.method in methods and value is not None:
                chosen["batch_size" if option == "mini_batch" else option] = value
        if self.method in ("pq", "opq"):
            chosen["rotation"] = self.method == "opq"
        return chosen

    @model_validator(mode="after")
    def _options_belong_to_the_method(self) -> "TokenizeConfig":
        defaults = type(self).model_fields
        for option, methods in (_BELONGS | _LOSSES).items():
            # Every run.toml holds the options that have a default, whatever the method.
            if self.method not in methods and getattr(self, option) != defaults[option].default:
                names = ", ".join(f"`{name}`" for name in methods)
                raise ValueError(
                    f'`{option}` belongs to the method {names}, but `method` is "{self.method}"; '
                    f"leave it out or change `method`"
                )
        return self

    @model_validator(mode="after")
    def _weights_have_their_losses(self) -> "TokenizeConfig":
        of = {"collaborative_weight": "letter", "diversity_weight": "letter", "contrast_weight": "cost"}
        for option, loss in of.items():
            if getattr(self, option) is not None and self.behaviour != loss:
                raise ValueError(f'`{option}` needs `behaviour` to be "{loss}"')
        return self

    @model_validator(mode="after")
    def _behaviour_has_an_origin_and_a_use(self) -> "TokenizeConfig":
        if self.behaviour_from == "pmi":
            return self
        if not self.reads_behaviour:
            raise ValueError(
                f'`behaviour_from` is "{self.behaviour_from}", but nothing reads vectors of behaviour; set '
                '`vectors` to "behaviour" or "joined", or `behaviour` to "letter"'
            )
        window = type(self).model_fields["behaviour_window"].default
        if self.behaviour_window != window and self.method != "cooccurrence":
            raise ValueError(
                '`behaviour_window` belongs to `behaviour_from` "pmi", but that is '
                f'"{self.behaviour_from}"; leave it out'
            )
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> "TokenizeConfig":
        if self.method in _WITHOUT_SIZES:
            return self
        if self.method in _ONE_LEVEL:
            if self.levels not in (1, type(self).model_fields["levels"].default):
                raise ValueError(f'"{self.method}" has one level; `levels` must be 1, not {self.levels}')
            if isinstance(self.codebook_size, list):
                raise ValueError(
                    f'"{self.method}" has one level; `codebook_size` must be one number, not {self.codebook_size}'
                )
            return self
        sizes = (
            self.codebook_size if isinstance(self.codebook_size, list) else [self.codebook_size] * self.levels
        )
        if len(sizes) != self.levels:
            raise ValueError(
                f"`codebook_size` has {len(sizes)} sizes for {self.levels} levels; give one a level"
            )
        bits = [(size - 1).bit_length() for size in sizes]
        if sum(bits) > _MOST_BITS:
            sum_of = f"{self.levels} x {bits[0]}" if len(set(bits)) == 1 else " + ".join(map(str, bits))
            raise ValueError(
                f"`levels` x bits of `codebook_size` is {sum_of} = {sum(bits)}, but a Semantic ID holds at most "
                f"{_MOST_BITS} bits"
            )
        return self


METHODS: tuple[str, ...] = get_args(Method)
"""The names of all methods."""


def takes(method: str, option: str, value: Any) -> bool:
    """Whether a method has an option, and may have this value of it."""
    if method in _ONE_LEVEL and option == "levels":
        return bool(value == 1)
    if method in _ONE_LEVEL and option == "codebook_size":
        return not isinstance(value, list)
    return method in (_BELONGS | _LOSSES).get(option, METHODS)
