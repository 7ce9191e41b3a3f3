"""`sidkit embed`: item vectors."""

import polars as pl

from sidkit.cli.engine import EngineOptions, check_alone, run_on_engine
from sidkit.cli.groups import with_groups
from sidkit.cli.options import Source
from sidkit.cli.pipeline import RunOptions, run_until
from sidkit.data.parquet.fragments import divide, read_batches
from sidkit.embed import default_template
from sidkit.run import build_config, read_tables
from sidkit.scale import EmbedBatch

__all__ = ["command"]

#: Items from which a default template is made.
_HEAD = 10_000


@with_groups
def command(source: Source, options: RunOptions, engine: EngineOptions) -> None:
    """Run a pipeline up to the item vectors, or embed Parquet files of any size.

    For example:

    `sidkit embed my-data/ --out runs/mine --set embed.model=sentence-transformers/sentence-t5-base`

    `sidkit embed items/ --engine ray --out vectors/ --set embed.template="{title}. {brand}"`
    """
    if not engine.given:
        run_until("embed", source, options)
        return
    check_alone(
        {
            "--preset": options.preset,
            "--columns": options.columns,
            "--force": options.force,
            "--using": engine.using,
        }
    )
    given = {} if options.config is None else read_tables(options.config)
    config = build_config(
        {"data": {"source": source}}, given, preset=None, assignments=options.settings or []
    ).embed
    function = EmbedBatch(
        config.model,
        template=_head_template(source) if config.template is None else config.template,
        max_tokens=config.max_tokens,
        batch_size=config.batch_size,
    )
    run_on_engine(function, source, options.out, engine, batch_size=2048)


def _head_template(source: str) -> str:
    """Make a template from the first items."""
    fragments = divide(source, 1)
    batches = [next(read_batches(fragments[0], None, _HEAD))] if fragments else []
    return default_template(pl.concat([pl.DataFrame(batch) for batch in batches]))
