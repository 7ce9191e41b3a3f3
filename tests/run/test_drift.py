import json

import polars as pl
from tests.run.world import write_world

from sidkit.ids import SidTable
from sidkit.run import build_config, run_pipeline
from sidkit.run.drift import write_drift


def test_tokenizing_again_writes_a_report_and_a_remap_table(tmp_path):
    world = write_world(tmp_path / "world")

    def tokenize(seed):
        given = [
            "tokenize.levels=2",
            "tokenize.codebook_size=4",
            'recommenders.use=["popularity"]',
            f"tokenize.seed={seed}",
        ]
        given += [f'embed.vectors="{world / "vectors.npy"}"', f'data.source="{world}"']
        run_pipeline(build_config(assignments=given), tmp_path / "run", until="ids", force=True)
        return SidTable.load(tmp_path / "run/sids.parquet")

    first = tokenize(0)
    assert not (tmp_path / "run/drift.json").exists()
    second = tokenize(1)
    assert second.sids != first.sids
    stored = json.loads((tmp_path / "run/drift.json").read_text())
    assert (stored["items"], stored["only_earlier"], stored["only_later"]) == (24, 0, 0)
    same = (first.codes[:, 0] == second.codes[:, 0]).mean()
    assert stored["depths"][0]["agreement"] == same
    assert [each["depth"] for each in stored["depths"]] == [1, 2]
    remap = pl.read_parquet(tmp_path / "run/remap.parquet")
    assert remap["item_id"].to_list() == first.item_ids.to_list()
    assert remap["old"].to_list() == first.sids and remap["new"].to_list() == second.sids


def test_items_that_come_and_go_and_levels_that_differ(tmp_path):
    old = SidTable.from_codes([[0, 1], [1, 1], [2, 0]], [1, 2, 3], (3, 2))
    new = SidTable.from_codes([[1], [0], [2]], [2, 1, 4], (3,))
    assert write_drift(tmp_path, old, new) == ["drift.json", "remap.parquet"]
    stored = json.loads((tmp_path / "drift.json").read_text())
    assert (stored["items"], stored["only_earlier"], stored["only_later"], stored["unchanged"]) == (
        2,
        1,
        1,
        0,
    )
    assert [each["agreement"] for each in stored["depths"]] == [1.0]
    assert write_drift(tmp_path / "nowhere", old, old) == []
    assert not (tmp_path / "nowhere").exists()
