"""Named starting points for a run: what they change of the defaults."""

from collections.abc import Mapping
from typing import Any

from sidkit.errors import ConfigError
from sidkit.run.config.nearest import nearest

__all__ = ["PRESETS", "preset"]

PRESETS: Mapping[str, dict[str, Any]] = {
    # The whole of ml-100k in minutes on two cores.
    "demo": {
        "models": {
            "use": ["popularity", "sasrec", "tiger", "rqtransformer"],
            "sasrec": {"d_model": 64},
            "rqtransformer": {"d_model": 64, "heads": 2, "dropout": 0.3},
            "tiger": {
                "d_model": 64,
                "encoder_layers": 2,
                "decoder_layers": 2,
                "heads": 4,
                "d_head": 16,
                "d_ff": 256,
                "max_items": 10,
            },
        },
        # 64 x 64 prefixes for 1,682 films: a third level would only separate near neighbours.
        "tokenize": {"levels": 2, "codebook_size": 64},
        "train": {
            # Chosen on validation: the default rate is too low for so few steps.
            "rqtransformer": {"learning_rate": 3e-3, "epochs": 24.0},
            "sasrec": {
                "batch_size": 64,
                "max_steps": 600,
                "learning_rate": 3e-3,
                "evaluate_every_steps": 100,
            },
            "tiger": {
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
        "models": {
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
        "tokenize": {"levels": 3, "codebook_size": 256},
    },
}


def preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset as nested tables.

    Raises:
        ConfigError: if there is no preset of that name; the message lists them.
    """
    if name not in PRESETS:
        raise ConfigError(
            f"there is no preset `{name}`{nearest(name, PRESETS)}; presets: {', '.join(PRESETS)}"
        )
    return PRESETS[name]
