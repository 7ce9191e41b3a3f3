"""`sidkit tokenize RUN --append ITEMS`."""

import numpy as np
import polars as pl
from tests.run.world import write_world

from sidkit.ids import SidTable


def test_append(sid, tmp_path):
    world, run = write_world(tmp_path / "world"), tmp_path / "run"
    given = ["tokenize.levels=2", "tokenize.codebook_size=8", f"embed.vectors={world / 'vectors.npy'}"]
    settings = [part for setting in given for part in ("--set", setting)]
    assert sid("tokenize", world, "--out", run, *settings)[0] == 0
    pl.DataFrame({"item_id": ["late"]}).write_parquet(tmp_path / "new.parquet")
    np.save(tmp_path / "new.npy", np.load(world / "vectors.npy")[:1])

    code, said, wrong = sid(
        "tokenize", run, "--append", tmp_path / "new.parquet", "--vectors", tmp_path / "new.npy"
    )
    assert (
        (code, wrong) == (0, "")
        and "1 new items; 1 items in all" in said
        and "actionpiece and decoderonly" in said
    )
    assert len(SidTable.load(run / "appended/0001/sids.parquet")) == 25
    again = sid("tokenize", run, "--append", tmp_path / "new.parquet", "--vectors", tmp_path / "new.npy")
    assert again[0] == 0 and "0 new items; 1 items in all" in again[1]

    assert "the settings of the run" in sid("tokenize", run, "--append", world, "--force")[2]
    assert "--vectors is for --append" in sid("tokenize", run, "--vectors", world / "vectors.npy")[2]
    assert "is no run; make one first" in sid("tokenize", world, "--append", tmp_path / "new.parquet")[2]
