"""Named starting points for a run: what they change of the defaults."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from sidkit._arguments import Bounds, Count, checked
from sidkit._registry import nearest
from sidkit.errors import ConfigError

__all__ = ["PRESETS", "SidShape", "preset", "sid_shape"]

#: Items that share a codeword of the first level, at least: fewer are too few to learn its embedding from.
_ITEMS_PER_CODEWORD = 24
#: Codes for every item, at least. k-means spreads items over codes about as evenly as chance does, so with
#: two codes for every item some exp(-1/2) = 61 % of them have a code to themselves.
_CODES_PER_ITEM = 2
_SMALLEST_CODEBOOK, _LARGEST_CODEBOOK = 16, 256

PRESETS: Mapping[str, dict[str, Any]] = {
    # The whole of ml-100k in minutes on two cores.
    "demo": {
        "recommenders": {
            "use": ["popularity", "sasrec", "tiger", "rqtransformer"],
            # Narrow networks, which need few steps at a higher learning rate.
            "rqtransformer": {
                "d_model": 64,
                "learning_rate": 3e-3,
            },
            "sasrec": {
                "d_model": 64,
                "batch_size": 64,
                "max_steps": 600,
                "learning_rate": 3e-3,
                "evaluate_every_steps": 100,
            },
            "tiger": {
                "d_model": 64,
                "encoder_layers": 2,
                "decoder_layers": 2,
                "heads": 4,
                "d_head": 16,
                "d_ff": 256,
                "max_items": 10,
                "max_steps": 1500,
                "learning_rate": 2e-3,
                "warmup_steps": 100,
                "evaluate_every_steps": 300,
            },
        },
        "decode": {"beam": 20, "k": 20},
    },
    # TIGER as published: 3 x 256 codes and a collision token, 4 + 4 layers.
    "paper": {
        "recommenders": {
            "use": ["popularity", "sasrec", "tiger"],
            "tiger": {
                "d_model": 128,
                "encoder_layers": 4,
                "decoder_layers": 4,
                "heads": 6,
                "d_head": 64,
                "d_ff": 1024,
                "dropout": 0.1,
                "max_items": 20,
            },
        },
    },
}
#: Least levels and codebook size of a preset that has its own; the others choose by the catalogue alone.
_SHAPES = {"paper": (3, 256)}


class SidShape(NamedTuple):
    """Levels and codebook size of Semantic IDs."""

    levels: int
    codebook_size: int

    def sentence(self, items: int) -> str:
        """State the shape and what it means for a catalogue of so many items."""
        codes = self.codebook_size**self.levels
        return (
            f"{self.levels} levels x {self.codebook_size} codewords for {items:,} items: "
            f"{items / self.codebook_size:,.0f} items per codeword, "
            f"{codes / max(items, 1):,.1f} codes per item"
        )


@checked
def sid_shape(
    items: Count,
    *,
    least_levels: Annotated[int, Bounds(ge=1, le=128)] = 2,
    codebook_size: Annotated[int, Bounds(ge=2, le=65536)] | None = None,
) -> SidShape:
    """Choose levels and codebook size of Semantic IDs from the size of the catalogue.

    A codebook is the largest power of two from 16 to 256 with at least 24 items per codeword, so that a
    generative model sees every first token often enough to learn it. Levels are as few as give at least two
    codes per item, since every level makes decoding slower; with fewer codes, most items would share theirs.
    1,682 items get 2 x 64, 12,101 items 2 x 256, and a million items 3 x 256.

    Args:
        items: size of the catalogue.
        least_levels: levels at least.
        codebook_size: codewords per level; chosen if not given.
    """
    if codebook_size is None:
        power = (
            math.floor(math.log2(max(items, 1) / _ITEMS_PER_CODEWORD)) if items > _ITEMS_PER_CODEWORD else 0
        )
        codebook_size = min(max(2**power, _SMALLEST_CODEBOOK), _LARGEST_CODEBOOK)
    levels = least_levels
    while levels < 128 and codebook_size**levels < _CODES_PER_ITEM * items:
        levels += 1
    return SidShape(levels, codebook_size)


@checked
def preset(name: str, items: Count | None = None) -> dict[str, Any]:
    """Return the settings of a preset as nested tables.

    Args:
        name: out of `PRESETS`.
        items: size of the catalogue, from which levels and codebook size are chosen, see `sid_shape`. Without
            it they stay the tokenizer's defaults.

    Raises:
        ConfigError: if there is no preset of that name; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"there is no preset `{name}`{nearest(name, PRESETS)}; presets: {', '.join(PRESETS)}"
        )
    if items is None:
        return PRESETS[name]
    return PRESETS[name] | {"tokenize": preset_shape(name, items)._asdict()}


def preset_shape(name: str, items: int) -> SidShape:
    """Return the levels and codebook size that a preset has for a catalogue."""
    if name not in _SHAPES:
        return sid_shape(items)
    least_levels, codebook_size = _SHAPES[name]
    return sid_shape(items, least_levels=least_levels, codebook_size=codebook_size)
