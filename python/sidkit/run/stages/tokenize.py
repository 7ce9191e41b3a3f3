"""The stage `tokenize`: fit the tokenizer, and measure it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sidkit.embed import item_texts
from sidkit.run.config import TokenizeConfig
from sidkit.run.engine import Outcome, Stage, Task
from sidkit.run.stages.collaborative import make_embeddings, sasrec_settings
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import EMBEDDINGS, TOKENIZED, TOKENIZER, save_vectors
from sidkit.tokenizers import collaborative_block, hybrid_embeddings, quality_report

__all__ = ["tokenize_stage", "tokenized_vectors"]

_COLLABORATIVE = ("vectors", "collaborative_method", "collaborative_dim", "collaborative_window")


def tokenize_stage(context: Context) -> Stage:
    """Describe the stage; it reads the dataset only if the tokenizer learns from more than vectors."""
    tokenize = context.config.tokenize
    settings = context.settings("tokenize")
    if not tokenize.uses_collaborative_embeddings:
        for key in (*_COLLABORATIVE, "collaborative_share"):
            del settings[f"tokenize.{key}"]
    elif tokenize.collaborative_method == "sasrec":
        settings |= sasrec_settings(context)
    reads_data = tokenize.uses_collaborative_embeddings or tokenize.fit_inputs
    inputs = ("data", "embed") if reads_data else ("embed",)
    return Stage("tokenize", settings, inputs, lambda task: _work(context, task))


def _work(context: Context, task: Task) -> Outcome:
    tokenize = context.config.tokenize
    vectors, outputs, embeddings = context.vectors(), [TOKENIZER], None
    if tokenize.uses_collaborative_embeddings:
        embeddings = make_embeddings(context, task)
        if tokenize.vectors != "content":
            vectors = _combined(tokenize, vectors, embeddings)
            save_vectors(context.directory.path / TOKENIZED, vectors)
            outputs.append(TOKENIZED)
    tokenizer = tokenize.build()
    tokenizer.fit(
        vectors,
        **_fit_inputs(context, embeddings),
        progress=task.progress,
        checkpoint=task.workspace() / "checkpoint.safetensors",
    )
    tokenizer.save(context.directory.path / TOKENIZER)
    return Outcome(outputs, quality_report(tokenizer, vectors).to_dict())


def tokenized_vectors(context: Context) -> npt.NDArray[np.float32]:
    """Read the vectors that were tokenized, float32 (items, dim)."""
    return context.vectors(EMBEDDINGS if context.config.tokenize.vectors == "content" else TOKENIZED)


def _combined(
    tokenize: TokenizeConfig, content: npt.NDArray[np.float32], collaborative: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    if tokenize.vectors == "collaborative":
        return collaborative_block(collaborative)
    return hybrid_embeddings(content, collaborative, weight=tokenize.collaborative_share)


def _fit_inputs(context: Context, embeddings: npt.NDArray[np.float32] | None) -> dict[str, Any]:
    """Return the inputs of `fit` besides vectors, as keyword arguments."""
    made: dict[str, Callable[[], Any]] = {
        "histories": lambda: context.split.train,
        "texts": lambda: item_texts(context.dataset.items, context.config.embed.template),
        "collaborative_embeddings": lambda: embeddings,
    }
    return {name: made[name]() for name in context.config.tokenize.fit_inputs}
