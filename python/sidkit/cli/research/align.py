"""`sidkit align`: train a model of a run further towards a reward."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from sidkit._files import write_text
from sidkit.cli.options import RunPath
from sidkit.cli.progress import Watcher
from sidkit.errors import ConfigError
from sidkit.experiments.alignment import align_run
from sidkit.report.alignment import METRICS, alignment_plot
from sidkit.train.align import AlignmentRecord, Budget

__all__ = ["command"]


def command(
    run: RunPath,
    method: Annotated[str, typer.Option("--method", help="`grpo`, `dpo`, `ipo` or `sdpo`.")] = "grpo",
    reward: Annotated[
        str,
        typer.Option(
            "--reward",
            help="`next_item`, `rating`, `label`, `novelty`, `diversity`, `item:COLUMN`, or a weighted sum "
            "such as `rating + 0.1 * novelty`.",
        ),
    ] = "next_item",
    model: Annotated[
        str | None, typer.Option("--model", help="A trained generative model of the run.")
    ] = None,
    kl: Annotated[
        float, typer.Option("--kl", help="Largest divergence from the model, in nats; 0 for no limit.")
    ] = 0.5,
    ndcg_loss: Annotated[
        float, typer.Option("--ndcg-loss", help="Largest relative loss of validation NDCG@10.")
    ] = 0.02,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the method; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Directory of the model; by default `aligned/<model>-<method>` in the run."
        ),
    ] = None,
) -> None:
    """Train a model further towards a reward, and keep the best one inside the budgets.

    The plot `alignment.svg`, next to the model, shows the course and what the reward costs.

    For example:

    `sidkit align runs/ml-100k --method grpo --reward rating`

    `sidkit align runs/shop --reward "next_item + 0.2 * item:margin" --ndcg-loss 0.01`
    """
    console = Console(markup=False)
    with Watcher(console) as watcher:
        record, place = align_run(
            run,
            method=method,
            reward=reward,
            model=model,
            budget=Budget(kl=kl or None, ndcg_loss=ndcg_loss),
            settings=_parsed(settings or []),
            out=out,
            progress=watcher.started("align"),
        )
    write_text(place / "alignment.svg", alignment_plot(record.as_dict()))
    console.print(_table(record))
    console.print(f"{place}\n{place / 'alignment.svg'}", highlight=False, soft_wrap=True)


def _parsed(settings: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in settings:
        key, equals, text = each.partition("=")
        if not equals:
            raise ConfigError(f"a setting is invalid: expected `KEY=VALUE`, got `{each}`. Correct it.")
        found[key.strip()] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _table(record: AlignmentRecord) -> Table:
    title = f"validation, reward {record.reward}, beta {record.beta:.3g}"
    table = Table("metric", "before", "after", title=title, title_justify="left")
    before, after = record.reference, record.kept
    for name, label in METRICS.items():
        if name in before:
            table.add_row(label, f"{before[name]:.4g}", f"{after[name]:.4g}")
    return table
