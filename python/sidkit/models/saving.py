"""Models on disk: weights in safetensors, constructor settings in JSON; nothing is ever unpickled."""

import json
from pathlib import Path
from typing import TypeAlias

import safetensors.torch
import torch
from safetensors import SafetensorError

from sidkit._files import atomic_path, write_text
from sidkit.errors import FormatError
from sidkit.models.actionpiece import ActionPieceNetwork
from sidkit.models.decoderonly import DecoderOnlyNetwork
from sidkit.models.gru4rec import GRU4RecNetwork
from sidkit.models.rqtransformer import RQTransformerNetwork
from sidkit.models.sasrec import SASRecNetwork
from sidkit.models.tiger import TIGERNetwork

__all__ = ["Trained", "load_model", "save_model"]

Trained: TypeAlias = (
    ActionPieceNetwork
    | DecoderOnlyNetwork
    | GRU4RecNetwork
    | RQTransformerNetwork
    | SASRecNetwork
    | TIGERNetwork
)

_KINDS: dict[str, type[Trained]] = {
    kind.kind: kind
    for kind in (
        TIGERNetwork,
        ActionPieceNetwork,
        RQTransformerNetwork,
        DecoderOnlyNetwork,
        SASRecNetwork,
        GRU4RecNetwork,
    )
}


def save_model(model: Trained, folder: str | Path) -> None:
    """Write `model.safetensors` and `model.json` into `folder`, each whole or not at all."""
    folder = Path(folder)
    weights = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / "model.safetensors") as path:
        safetensors.torch.save_file(weights, path)
    description = {"kind": model.kind, "settings": model.settings}
    write_text(folder / "model.json", json.dumps(description, indent=2) + "\n")


def load_model(folder: str | Path) -> Trained:
    """Read what `save_model` wrote, ready for evaluation.

    Raises:
        FormatError: if a file is missing, truncated, foreign, or does not fit the other, or a weight is
            not finite.
    """
    folder = Path(folder)
    model = _build(folder / "model.json")
    path = folder / "model.safetensors"
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise FormatError(
            f"`{path}` is not a readable safetensors file ({error}); train the model again"
        ) from error
    expected = model.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | weights.keys()
        if name not in weights or name not in expected or weights[name].shape != expected[name].shape
    )
    if wrong:
        raise FormatError(
            f"`{path}` does not hold the weights that `model.json` describes "
            f"({len(wrong)} differ, first `{wrong[0]}`); both files must come from the same training"
        )
    broken = next((name for name in sorted(weights) if not weights[name].isfinite().all()), None)
    if broken is not None:
        raise FormatError(f"`{path}` holds NaN or infinity in `{broken}`; train the model again")
    model.load_state_dict(weights)
    return model.eval()


def _build(path: Path) -> Trained:
    try:
        description = json.loads(path.read_text())
        kind = _KINDS[description["kind"]]
        with torch.random.fork_rng(
            devices=[]
        ):  # building draws initial weights; the caller's generator stays
            return kind(**description["settings"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError) as error:
        known = ", ".join(f"`{kind}`" for kind in _KINDS)
        raise FormatError(
            f"`{path}` does not describe a model of a known kind ({known}): {error}; train the model again"
        ) from error
