"""Alignment of a model of a run, with its course and its metrics on validation."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sidkit._progress import Progress, silent
from sidkit.errors import ConfigError, RunDirectoryError
from sidkit.recommenders.alignment import Alignable
from sidkit.run.directory import RunDirectory
from sidkit.run.opened import open_run
from sidkit.run.stages.context import Context
from sidkit.run.stages.files import EMBEDDINGS
from sidkit.train.align import (
    METHODS,
    AlignmentRecord,
    Budget,
    ItemAttribute,
    ListDiversity,
    LoggedFeedback,
    NextItem,
    Novelty,
    Reward,
    WeightedSum,
)

__all__ = ["ALIGNED", "align_run", "parse_reward"]

#: Directory of aligned models in a run.
ALIGNED = "aligned"


def align_run(
    run: str | os.PathLike[str],
    *,
    method: str = "grpo",
    reward: str = "next_item",
    model: str | None = None,
    budget: Budget | None = None,
    settings: dict[str, Any] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> tuple[AlignmentRecord, Path]:
    """Align a trained model of a run, and save it.

    Args:
        run: a run directory.
        method: name of the method, see `sidkit.train.align.METHODS`.
        reward: the reward, see `parse_reward`.
        model: name of the model; None for the default of `open_run`.
        budget: limits of divergence and loss of accuracy; None for `Budget()`.
        settings: settings of the method.
        out: directory of the aligned model; None for `aligned/<model>-<method>` in the run.
        progress: called after every step.

    Returns:
        The course of the alignment, which is also in `alignment.json`, and the directory. `load_model` reads
        it.

    Raises:
        ConfigError: if there is no such method, setting or reward, or the model cannot be aligned.
        RunDirectoryError: if the run has no such model.
    """
    if method not in METHODS:
        raise ConfigError(
            f"unknown alignment method: expected one of {', '.join(METHODS)}, got `{method}`. Correct it."
        )
    try:
        objective = METHODS[method](**(settings or {}))
    except TypeError as error:
        known = ", ".join(METHODS[method]().get_params())
        raise ConfigError(f"unknown setting of `{method}`: expected one of {known}, got {error}.") from error
    opened = open_run(run, model=model)
    recommender = opened.recommender()
    if not isinstance(recommender, Alignable):
        raise ConfigError(
            f"`{recommender.method}` cannot be aligned: expected a generative model, got one that scores "
            "items. Name another with `model`."
        )
    context = Context(opened.config, RunDirectory(opened.path))
    parsed = parse_reward(reward, context)

    def report(state: Any) -> None:
        progress(state.step, state.total, loss=state.loss)

    aligned = recommender.align(
        context.split.train,
        reward=parsed,
        method=objective,
        validation=context.split.validation,
        budget=budget,
        callbacks=[report],
    )
    place = Path(out) if out is not None else opened.path / ALIGNED / f"{opened.model}-{method}"
    if (place / "run.toml").exists():
        raise RunDirectoryError(
            f"`{place}` is a run directory: expected a directory for one model. Choose another."
        )
    aligned.save(place)
    return aligned.alignment_, place


def parse_reward(text: str, context: Context) -> Reward:
    """Make a reward of its description, such as `rating`, `next_item + 0.1 * novelty` or `item:price`.

    `next_item` is a hit of the next item; `rating` and `label` are logged feedback of the training events;
    `novelty` and `diversity` are those of items and lists; `item:COLUMN` is a column of the items, divided by
    its standard deviation.

    Args:
        text: names of rewards, with a weight and `*` before them, and `+` between them.
        context: the run.

    Raises:
        ConfigError: if a name, weight or column is unknown.
    """
    makers: dict[str, Callable[[], Reward]] = {
        "next_item": NextItem,
        "rating": lambda: LoggedFeedback(context.dataset, context.split.train, column="rating"),
        "label": lambda: LoggedFeedback(context.dataset, context.split.train, column="label"),
        "novelty": lambda: Novelty(context.split.train),
        "diversity": lambda: ListDiversity(context.vectors(EMBEDDINGS)),
    }
    parts: list[tuple[float, Reward]] = []
    for part in text.split("+"):
        weight, star, name = part.rpartition("*")
        name = name.strip()
        try:
            value = float(weight) if star else 1.0
        except ValueError as error:
            raise ConfigError(
                f"the weight of a reward is invalid: expected a number before `*`, got `{weight.strip()}`. "
                "Correct it."
            ) from error
        if name.startswith("item:"):
            parts.append((value, _column(context, name.removeprefix("item:"))))
        elif name in makers:
            parts.append((value, makers[name]()))
        else:
            raise ConfigError(
                f"unknown reward: expected {', '.join(makers)} or `item:COLUMN`, got `{name}`. Correct it."
            )
    return WeightedSum(parts)


def _column(context: Context, name: str) -> ItemAttribute:
    items = context.dataset.items
    if name not in items.columns or not items[name].dtype.is_numeric():
        numbers = [each for each in items.columns if items[each].dtype.is_numeric()]
        raise ConfigError(
            f"the items have no column of numbers `{name}`: expected one of {', '.join(numbers) or 'none'}. "
            "Correct it."
        )
    values = items[name].cast(float).fill_null(strategy="mean").to_numpy()
    return ItemAttribute(values / (np.std(values) or 1.0))
