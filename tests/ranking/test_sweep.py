import json

import numpy as np
import polars as pl
import pytest
from tests.ranking.world import write_ranking_world

from sidkit.data import load_dataset
from sidkit.errors import ConfigError, FormatError
from sidkit.experiments.sweep import sweep, sweep_grid
from sidkit.ranking import (
    Cell,
    Comparison,
    RankedItems,
    RankSettings,
    Result,
    Sweep,
    Swept,
    impressions,
    split_by_time,
)


def figures(name, values, seeds=(0, 1)):
    results = [Result(name, seed, "all", "auc", value, 9) for seed, value in zip(seeds, values, strict=True)]
    return Comparison(results, {"seeds": list(seeds), "num_embeddings": 8, "dim": 2}, {name: 16})


def test_the_grid_is_every_shape_in_order():
    assert [cell.name for cell in sweep_grid(["pq", "rqvae"], [1, 2], [4])] == [
        "pq-1x4",
        "pq-2x4",
        "rqvae-1x4",
        "rqvae-2x4",
    ]
    with pytest.raises(ConfigError, match=r"no tokenizer `pqq`.*did you mean `pq`"):
        sweep_grid(["pqq"], [1], [4])
    with pytest.raises(ConfigError, match="`atomic` cannot be swept"):
        sweep_grid(["atomic"], [1], [4])
    with pytest.raises(ConfigError, match="without duplicates"):
        sweep_grid(["pq"], [], [4])


def test_the_table_compares_cells_with_the_random_hash():
    cell = Cell("pq", 2, 4)
    found = Sweep("all", figures("random", [0.5, 0.6]), [Swept(cell, 0.25, figures(cell.name, [0.7, 0.7]))])
    base, row = found.table().to_dicts()
    assert (base["name"], base["tokenizer"], base["distinct"]) == ("random", None, None)
    assert (row["tokenizer"], row["levels"], row["codebook_size"], row["distinct"]) == ("pq", 2, 4, 0.25)
    assert row["mean"] == pytest.approx(0.7) and row["difference"] == pytest.approx(0.15)
    assert Sweep.from_json(found.to_json()).table().equals(found.table())
    with pytest.raises(FormatError, match="not the JSON of a sweep"):
        Sweep.from_json("{}")


def test_an_interrupted_sweep_keeps_finished_cells(tmp_path):
    dataset = load_dataset(write_ranking_world(tmp_path / "world", content=True))
    split = split_by_time(impressions(dataset), len(dataset.items))
    items = RankedItems(dataset.item_ids, np.load(tmp_path / "world" / "vectors.npy"))
    settings = RankSettings(num_embeddings=32, dim=2, seeds=[0], epochs=1, batch_size=4096)
    cells = sweep_grid(["rqkmeans", "pq"], [1, 2], [4])

    def stop(done, total):
        assert total == 4
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(split, cells, tmp_path / "cells", items=items, settings=settings, progress=stop)
    kept = {path.stem: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    assert sorted(kept) == ["baselines", "rqkmeans-1x4", "rqkmeans-2x4"]
    found = sweep(split, cells, tmp_path / "cells", items=items, settings=settings)
    assert {name: (tmp_path / "cells" / f"{name}.json").read_bytes() for name in kept} == kept
    fresh = sweep(split, cells, tmp_path / "others", items=items, settings=settings)
    assert fresh.to_json() == found.to_json()
    assert set(found.table().filter(pl.col("slice") == "all")["events"]) == {800}

    # Another order of the catalogue is other data.
    with pytest.raises(ConfigError, match="other data or settings"):
        reversed_items = RankedItems(dataset.item_ids.reverse(), items.vectors)
        sweep(split, cells, tmp_path / "cells", items=reversed_items, settings=settings)
    (tmp_path / "cells" / "baselines.json").write_text(json.dumps({"fingerprint": 1}))
    with pytest.raises(FormatError, match="is damaged"):
        sweep(split, cells, tmp_path / "cells", items=items, settings=settings)
