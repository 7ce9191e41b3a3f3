"""The protocol of runs with and without tied timestamps."""

import polars as pl
import pytest
from tests.run.world import write_world

from sidkit.data import load_dataset
from sidkit.evaluate import Metrics
from sidkit.run import build_config, run_pipeline


@pytest.mark.parametrize("tied", [False, True])
def test_nothing_is_called_shuffled_without_tied_timestamps(tmp_path, tied):
    world = write_world(tmp_path / "ring")
    path = world / "interactions.parquet"
    events = pl.read_parquet(path)
    order = load_dataset(world).order_column
    if tied:
        events.with_columns(pl.col(order) * 0).write_parquet(path)
    assert (load_dataset(world).tied_share > 0) == tied
    settings = [f"data.source={world}", "data.ties=shuffle", "data.seed=3", 'recommenders.use=["popularity"]']
    run_pipeline(build_config(assignments=settings), tmp_path / "run", until="evaluate")
    protocol = Metrics.load(tmp_path / "run" / "metrics.json").protocol
    assert (protocol.ties, protocol.tie_seed) == (("shuffle", 3) if tied else ("source", 0))
