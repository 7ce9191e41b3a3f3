"""Comparison of tokenizers: one generative model, trained with one budget on the codes of each.

Each variant and seed is a run directory, so that an interrupted comparison resumes. Results are stored (see
`sidkit.report.tables.stored`) under the name of the variant, with a `tokenizer.json`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidkit._arguments import Seed, checked
from sidkit._registry import nearest
from sidkit.errors import CollisionError, ConfigError, DataError
from sidkit.experiments.store import store_run
from sidkit.experiments.tokenizer_summary import measure_tokenizer
from sidkit.recommenders.registry import RECOMMENDERS
from sidkit.run.config import RunConfig, TokenizeConfig, build_config
from sidkit.run.config.tokenize import DEFAULT_TOKENIZER, tokenizer_settings
from sidkit.run.directory import RunDirectory
from sidkit.run.engine import Observer
from sidkit.run.pipeline import run_pipeline
from sidkit.tokenizers.registry import TOKENIZERS

__all__ = ["BUDGET", "CUTOFF", "TokenizerComparison", "compare_tokenizers", "variants"]

#: The generative model that is trained on every variant, unless the settings choose another. It uses codes
#: only, so that its knowledge of items comes from their codes and from training events.
BUDGET: Mapping[str, Any] = {
    "recommenders": {
        "use": ["rqtransformer"],
        # The codes are compared, so neither content vectors nor the transition graph take part.
        "rqtransformer": {
            "d_model": 64,
            "heads": 2,
            "dropout": 0.3,
            "content": False,
            "graph": False,
            "epochs": 8.0,
            "min_steps": 0,
        },
    },
    "decode": {"beam": 20, "k": 20},
}

#: The K of the metrics in tables of tokenizers.
CUTOFF = 10

_SHAPE = ("levels", "codebook_size")
# Paths in trees, and unordered codes, hold as much information with other sizes; see the guide on tokenizers.
_TREE = {"codebook_size": 32}
_PRODUCT = {"levels": 4}

#: What a comparison sets for a method, where its defaults are not comparable.
_OF_METHOD: Mapping[str, Mapping[str, Any]] = {
    "pq": _PRODUCT,
    "opq": _PRODUCT,
    "hkmeans": _TREE,
    "cooccurrence": _TREE,
    "words": {"levels": 3, "codebook_size": 4096},
}

#: Further variants of some methods, by name.
_VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "rqkmeans_balanced": {"method": "rqkmeans", "balanced": True},
    "rqvae_ema": {"method": "rqvae", "codebook_update": "ema"},
    "rqvae_rotation": {"method": "rqvae", "estimator": "rotation"},
    "rqvae_sinkhorn": {"method": "rqvae", "sinkhorn": "all", "refit": False},
    "hybrid": {"method": "rqkmeans", "vectors": "hybrid"},
    "collaborative": {"method": "rqkmeans", "vectors": "collaborative"},
    "letter": {"method": "rqvae", "auxiliary_loss": "letter", "refit": False},
    "cost": {"method": "rqvae", "auxiliary_loss": "cost"},
}


@checked
@dataclass
class TokenizerComparison:
    """Outcome of a comparison."""

    stored: list[Path] = field(default_factory=list)
    """Directories of the results, variant by variant."""
    skipped: dict[str, CollisionError | DataError] = field(default_factory=dict)
    """Variants that the dataset does not support, such as `words` without item texts, and the reason."""


@checked
def variants() -> dict[str, dict[str, Any]]:
    """Return the settings of `[tokenize]` of every variant: one for each tokenizer, and further ones."""
    found = {name: {"method": name, **_OF_METHOD.get(name, {})} for name in TOKENIZERS.names()}
    return found | {name: dict(settings) for name, settings in _VARIANTS.items()}


@checked
def compare_tokenizers(
    config: RunConfig,
    directory: str | os.PathLike[str],
    results: str | os.PathLike[str],
    *,
    names: Sequence[str] = (),
    seeds: Sequence[Seed] = (0,),
    force: bool = False,
    observer: Observer | None = None,
) -> TokenizerComparison:
    """Fit every variant of a tokenizer, train the same generative model on each, and store the results.

    Args:
        config: settings of all runs; one generative model in `recommenders.use`. Changes of `[tokenize]` must
            be settings of every variant that none of them sets itself. A tokenizer whose codes follow from
            the items alone, such as `atomic`, ignores `levels` and `codebook_size`.
        directory: directory of the runs, `<variant>-seed<n>` each; finished ones are not run again.
        results: directory of the results, such as `benches/results/tokenizers`.
        names: names out of `variants()`; all if empty.
        seeds: seeds of tokenizer and training.
        force: run stages again that were made with other settings, instead of raising an error.
        observer: notified of the stages of each run.

    Returns:
        What was stored, and the variants that were skipped since the dataset does not support them.

    Raises:
        DataError, CollisionError: if every variant was skipped, the error of the first; or if there is no
            such dataset.
        ConfigError: if a variant is unknown, `seeds` is empty or repeats one, or the settings name anything
            but one generative model, leave out the metrics of the tables, or do not apply to every variant.
        KeyboardInterrupt: after Ctrl-C; the same call resumes.
    """
    known = variants()
    chosen = list(names) or list(known)
    _check(config, chosen, known, seeds)
    # All configurations are checked before the first training, which may take hours.
    configs = {
        (name, seed): _of_variant(config, name, known[name], seed) for name in chosen for seed in seeds
    }
    Path(results).mkdir(parents=True, exist_ok=True)  # fails now if it is not writable
    comparison = TokenizerComparison()
    for (name, seed), each in configs.items():
        if name in comparison.skipped:
            continue
        run = Path(directory, f"{name}-seed{seed}")
        try:
            finished = run_pipeline(each, run, until="evaluate", force=force, observer=observer)
        except (CollisionError, DataError) as error:
            if "data" not in RunDirectory(run).records:  # no variant can be fitted to such data
                raise
            comparison.skipped[name] = error
            continue
        (place,) = store_run(run, results, variant=name, force=True)
        measure_tokenizer(finished, name).save(place / "tokenizer.json")
        comparison.stored.append(place)
    if not comparison.stored:
        raise next(iter(comparison.skipped.values()))
    return comparison


def _check(
    config: RunConfig, chosen: Sequence[str], known: Mapping[str, Mapping[str, Any]], seeds: Sequence[Seed]
) -> None:
    for name in chosen:
        if name not in known:
            raise ConfigError(
                f"there is no tokenizer or variant `{name}`{nearest(name, known)}; expected one of "
                f"{', '.join(known)}"
            )
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"a comparison needs one seed or several different ones, got {list(seeds)}")
    use = config.recommenders.use
    if len(use) != 1 or not config.recommenders[use[0]].configures.generative:
        generative = [name for name in RECOMMENDERS.names() if RECOMMENDERS[name].generative]
        raise ConfigError(
            f"tokenizers are compared by one generative model, but `recommenders.use` is {list(use)}; "
            f"choose one of {', '.join(generative)}"
        )
    if CUTOFF not in config.evaluate.ks:
        raise ConfigError(
            f"tokenizers are ranked by NDCG@{CUTOFF}, but `evaluate.ks` is {config.evaluate.ks}; "
            f"add {CUTOFF} to it"
        )
    _check_tokenize(config.tokenize, {name: known[name] for name in chosen})


def _check_tokenize(given: TokenizeConfig, chosen: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a setting that one of the variants would have to ignore."""
    defaults = type(given).model_fields | {
        "method": tokenizer_settings(DEFAULT_TOKENIZER).model_fields["method"]
    }
    for key, value in given.model_dump().items():
        if value == defaults[key].get_default(call_default_factory=True):
            continue
        if key == "seed":
            raise ConfigError(
                f"a comparison sets `tokenize.seed` itself, but it is {value}; choose by --seeds"
            )
        refused, accepted = [], []
        for name, settings in chosen.items():
            fields = tokenizer_settings(settings["method"]).model_fields
            if settings.get(key, value) != value:
                refused.append(f"{name} has {settings[key]!r}")
            elif key not in fields and not (key in _SHAPE and not {*_SHAPE} & fields.keys()):
                refused.append(f"{name} does not take it")
            else:
                accepted.append(f"--tokenizer {name}")
        if refused:
            advice = f", or compare {' '.join(accepted)} alone" if accepted else ""
            raise ConfigError(
                f"`tokenize.{key}` is {value!r} for the whole comparison, but {', '.join(refused)}; "
                f"leave it out{advice}"
            )


def _of_variant(config: RunConfig, name: str, settings: Mapping[str, Any], seed: Seed) -> RunConfig:
    (model,) = config.recommenders.use
    fields = tokenizer_settings(settings["method"]).model_fields
    seeded = {**settings, "seed": seed} if "seed" in fields else settings
    try:
        return build_config(
            config.model_dump(mode="json", exclude_none=True),
            {"tokenize": seeded, "recommenders": {model: {"seed": seed}}},
        )
    except ConfigError as error:
        raise ConfigError(f"tokenizer `{name}`: {error}") from error
