import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.worlds import small_recommender, small_world

from sidkit.run import build_config, run_pipeline
from sidkit.scale import job
from sidkit.scale.batches.vectors import list_column
from sidkit.tokenizers import RQKMeans

ROWS, DIM = 3000, 8


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    """A Parquet source of three files with small row groups; its vectors; a tokenizer file."""
    place = tmp_path_factory.mktemp("catalogue")
    x = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float32)
    table = pa.table({"item_id": [f"i{row}" for row in range(ROWS)], "vector": list_column(x)})
    (place / "vectors").mkdir()
    for number, (start, stop) in enumerate([(0, 1000), (1000, 1001), (1001, ROWS)]):
        pq.write_table(
            table.slice(start, stop - start), place / f"vectors/{number}.parquet", row_group_size=170
        )
    RQKMeans(3, 8).fit(x).save(place / "tokenizer.safetensors")
    return place, x


@pytest.fixture
def small_parts(monkeypatch):
    """Parts of a few hundred rows, so that a small source has several."""
    monkeypatch.setattr(job, "PART_ROWS", 400)


@pytest.fixture(scope="session")
def small_run(world, tmp_path_factory):
    """A run directory with the models that need no training."""
    settings = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}"]
    settings += ["tokenize.levels=2", "tokenize.codebook_size=8", "evaluate.bootstrap_samples=10"]
    settings += ['recommenders.use=["popularity", "transition_graph"]']
    path = tmp_path_factory.mktemp("runs") / "small"
    run_pipeline(build_config(assignments=settings), path)
    return path


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory):
    """A saved recommender of the small world."""
    world = small_world()
    model = small_recommender("transition_graph").fit(world.split.train)
    path = tmp_path_factory.mktemp("models") / "graph"
    model.save(path)
    return path
