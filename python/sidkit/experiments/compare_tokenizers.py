"""Every family of tokenizers on one catalogue, judged by one generator trained for one budget.

Each family and seed is a run directory of its own, so that an interrupted comparison goes on where it was, and
what is kept of it is a stored result (`sidkit.report.stored`) whose variant is the family, with a
`tokenizer.json` beside it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.experiments.store import store_run
from sidkit.experiments.tokenizer_summary import measure_tokenizer
from sidkit.run.config import GENERATIVE_MODELS, RunConfig
from sidkit.run.config.nearest import nearest
from sidkit.run.config.settings import build_config
from sidkit.run.config.tokenize import TokenizeConfig, takes
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Observer
from sidkit.run.pipeline import run_pipeline

__all__ = ["BUDGET", "FAMILIES", "Comparison", "compare_families"]

#: The generator that judges unless the settings say otherwise. It reads codes and no content, so that what
#: it knows of items comes from their codes and from what it has seen of them.
BUDGET: Mapping[str, Any] = {
    "models": {
        "use": ["rqtransformer"],
        "rqtransformer": {"d_model": 64, "heads": 2, "dropout": 0.3, "content": False},
    },
    "train": {"rqtransformer": {"epochs": 8.0}},
    "decode": {"beam": 20, "k": 20},
}

#: The K of the metrics that tables of families show.
CUT_OFF = 10

# Trees and unordered codes say as much with other sizes; see the guide on tokenizers.
_TREE = {"codebook_size": 32}
_PRODUCT = {"levels": 4}

#: What each family sets of `tokenize`, in the order of tables.
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "rqkmeans": {"method": "rqkmeans"},
    "rqkmeans_balanced": {"method": "rqkmeans", "balanced": True},
    "rvq": {"method": "rvq"},
    "rqvae": {"method": "rqvae"},
    "rqvae_ema": {"method": "rqvae", "update": "ema"},
    "rqvae_rotation": {"method": "rqvae", "estimator": "rotation"},
    "rqvae_sinkhorn": {"method": "rqvae", "sinkhorn": "all", "refit": False},
    "vq": {"method": "vq"},
    "vqvae": {"method": "vqvae"},
    "pq": {"method": "pq", **_PRODUCT},
    "opq": {"method": "opq", **_PRODUCT},
    "hkmeans": {"method": "hkmeans", **_TREE},
    "joined": {"method": "rqkmeans", "vectors": "joined"},
    "behaviour": {"method": "rqkmeans", "vectors": "behaviour"},
    "letter": {"method": "rqvae", "behaviour": "letter", "refit": False},
    "cost": {"method": "rqvae", "behaviour": "cost"},
    "cooccurrence": {"method": "cooccurrence", **_TREE},
    "words": {"method": "words", "codebook_size": 4096},
    "lmindexer": {"method": "lmindexer"},
    "lsh": {"method": "lsh"},
    "random": {"method": "random"},
    "atomic": {"method": "atomic"},
}


@dataclass
class Comparison:
    """What came of a comparison."""

    stored: list[Path] = field(default_factory=list)
    """The folders of the results, family by family."""
    left_out: dict[str, CollisionError | DataError] = field(default_factory=dict)
    """Families that the catalogue cannot have, such as `words` where items have no text, and why."""


def compare_families(
    config: RunConfig,
    folder: str | os.PathLike[str],
    results: str | os.PathLike[str],
    *,
    families: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    force: bool = False,
    observer: Observer | None = None,
) -> Comparison:
    """Fit tokenizers, train the same generator on the codes of each, and keep what both reached.

    Args:
        config: the settings of all runs; one generator in `models.use`. What it changes of `tokenize` must be
            what every family takes: nothing that one of them sets itself, and no option that its method has
            not. The control `atomic` has one code an item, whatever `levels` and `codebook_size` say.
        folder: of the runs, `<family>-seed<n>` each; what is there and current is not run again.
        results: where to keep the results, by custom `benches/results/tokenizers`.
        families: names out of `FAMILIES`; all if empty.
        seeds: of tokenizer and training.
        force: run stages of `folder` again that were made with other settings, instead of refusing.
        observer: told of the stages of each run.

    Returns:
        What was stored, and the families that were left out because the data cannot bear them.

    Raises:
        DataError, CollisionError: if no family could be had, the first one's; or if there is no such dataset.
        ConfigError: if a family is unknown, `seeds` is empty or repeats one, or the settings name anything
            but one generator, leave out the metrics of the tables, or are not for every family.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    names = list(families) or list(FAMILIES)
    for name in names:
        if name not in FAMILIES:
            raise ConfigError(
                f"there is no family `{name}`{nearest(name, FAMILIES)}; families: {', '.join(FAMILIES)}"
            )
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"a comparison needs one seed or several different ones, got {list(seeds)}")
    models = config.models.use
    if len(models) != 1 or models[0] not in GENERATIVE_MODELS:
        raise ConfigError(
            f"one generator judges the tokenizers, `models.use` is {list(models)}; "
            f"take one of {', '.join(sorted(GENERATIVE_MODELS))}"
        )
    if CUT_OFF not in config.evaluate.ks:
        raise ConfigError(
            f"families are ranked by NDCG@{CUT_OFF}, but `evaluate.ks` is {config.evaluate.ks}; "
            f"put {CUT_OFF} among them"
        )
    _check_quantize(config.tokenize, names)
    # Families are checked before the first is trained: a contradiction in the last would cost hours.
    configs = {(name, seed): _of_family(config, name, seed) for name in names for seed in seeds}
    Path(results).mkdir(parents=True, exist_ok=True)  # what cannot be written to is told now too
    comparison = Comparison()
    for (name, seed), each in configs.items():
        if name in comparison.left_out:
            continue
        run = Path(folder, f"{name}-seed{seed}")
        try:
            finished = run_pipeline(each, run, until="evaluate", force=force, observer=observer)
        except (CollisionError, DataError) as error:
            if "data" not in RunDirectory(run).records:  # then no family can have it
                raise
            comparison.left_out[name] = error
            continue
        (place,) = store_run(run, results, variant=name, force=True)
        measure_tokenizer(finished, name).save(place / "tokenizer.json")
        comparison.stored.append(place)
    if not comparison.stored:
        raise next(iter(comparison.left_out.values()))
    return comparison


def _check_quantize(given: TokenizeConfig, names: Sequence[str]) -> None:
    """Refuse a setting that one of the families would have to ignore."""
    for key, option in TokenizeConfig.model_fields.items():
        value = getattr(given, key)
        if value == option.default:
            continue
        if key == "seed":
            raise ConfigError(
                f"a comparison sets `tokenize.seed` itself, but it is {value}; choose by --seeds"
            )
        refused, taken = [], []
        for name in names:
            family = FAMILIES[name]
            if family.get(key, value) != value:
                refused.append(f"{name} has {family[key]!r}")
            elif not takes(family["method"], key, value):
                refused.append(f"{name} does not take it")
            else:
                taken.append(f"--family {name}")
        if refused:
            advice = f", or compare {' '.join(taken)} alone" if taken else ""
            raise ConfigError(
                f"`tokenize.{key}` is {value!r} for the whole comparison, but {', '.join(refused)}; "
                f"leave it out{advice}"
            )


def _of_family(config: RunConfig, name: str, seed: int) -> RunConfig:
    (model,) = config.models.use
    try:
        return build_config(
            config.model_dump(exclude_none=True),
            {"tokenize": {**FAMILIES[name], "seed": seed}, "train": {model: {"seed": seed}}},
        )
    except ConfigError as error:
        raise ConfigError(f"family `{name}`: {error}") from error
