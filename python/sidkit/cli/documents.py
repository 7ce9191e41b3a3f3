"""Runs over document collections on the command line."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sidkit.cli.pipeline import RunOptions
from sidkit.errors import ConfigError
from sidkit.run.search import METHODS, SearchRun, is_search_run, open_search_run, run_search
from sidkit.search import is_collection

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["is_about_documents", "run_documents"]


def is_about_documents(source: str) -> bool:
    """Return True if a source is a document collection or a run over one."""
    return is_search_run(source) or is_collection(source)


def run_documents(source: str, options: RunOptions) -> None:
    """Fit and evaluate retrievers, and print the table of results.

    Args:
        source: directory of a collection, or of a run over one, which is continued.
        options: options of the verb; presets, files of settings and column names do not apply.

    Raises:
        SidkitError: raised by a step.
    """
    if options.preset is not None or options.config is not None or options.columns is not None:
        raise ConfigError(
            "a document collection has no presets, settings files or column names: expected --out, --set and "
            "--force only. Leave the others out."
        )
    console = Console(markup=False)
    given = _settings(options.settings or [])
    chosen = given.pop("search", {})
    unknown = sorted(set(chosen) - {"methods", "seed"})
    if unknown:
        raise ConfigError(
            f"unknown setting: expected search.methods or search.seed, got `search.{unknown[0]}`."
        )
    methods: Any = chosen.get("methods", METHODS)
    seed = chosen.get("seed", 0)
    out = options.out or Path("runs") / Path(source).resolve().name
    if is_search_run(source):
        opened = open_search_run(source)
        out, source = opened.path, str(opened.source)
        methods = chosen.get("methods", opened.methods)
        seed = chosen.get("seed", opened.settings["seed"])
        kept = {name: dict(each) for name, each in opened.settings["settings"].items() if each}
        given = {name: kept.get(name, {}) | given.get(name, {}) for name in {**kept, **given}}
    console.print(f"{source} -> {out}", highlight=False)
    run = run_search(
        source,
        out,
        methods=methods.split(",") if isinstance(methods, str) else list(methods),
        settings=given,
        seed=seed,
        force=options.force,
        on_step=lambda step: console.print(f"  {step}", highlight=False),
    )
    _print(run, console)


def _settings(assignments: list[str]) -> dict[str, dict[str, Any]]:
    """Parse `SECTION.KEY=VALUE`; a value that is not TOML is text."""
    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        section, dot, key = name.strip().partition(".")
        if not equals or not dot or not key:
            raise ConfigError(f"--set is invalid: expected SECTION.KEY=VALUE, got `{assignment}`.")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text.strip()
        found.setdefault(section, {})[key] = value
    return found


def _print(run: SearchRun, console: Console) -> None:
    results = run.metrics.get("results", {})
    if results:
        names = list(next(iter(results.values())))
        facts = f"{run.metrics['queries']:,} {run.metrics['evaluated_on']} queries"
        table = Table(
            "retriever", title=f"{run.metrics['documents']:,} documents, {facts}", title_justify="left"
        )
        for name in names:
            table.add_column(name, justify="right")
        for method, figures in results.items():
            table.add_row(method, *(f"{figures[name]['mean']:.4f}" for name in names))
        console.print(table)
    for each in run.metrics.get("comparisons", []):
        low, high = each["interval"]
        console.print(
            f"{each['model']} − {each['baseline']}: {each['metric']} {each['difference']:+.4f} "
            f"({low:+.4f} … {high:+.4f}), p = {each['p_value']:.4f}",
            highlight=False,
        )
    console.print(f'search it with: sidkit search {run.path} "your query"', highlight=False, soft_wrap=True)
