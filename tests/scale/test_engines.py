"""Every engine: the results of one process, also if a worker is killed."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.scale import killed
from tests.scale.reading import digests, read

from sidkit.errors import ConfigError, DataError
from sidkit.scale import ENGINES, TokenizeBatch, map_parquet
from sidkit.scale.engines.base import Engine

ROOT = Path(__file__).parents[2]
NEEDS = {"ray": ["ray"], "spark": ["pyspark"]}

pytestmark = [
    pytest.mark.usefixtures("small_parts"),
    # Ray and Spark leave sockets and deprecated calls behind.
    pytest.mark.filterwarnings("ignore"),
]


def available(method):
    """An engine with two workers, or a skip with the reason."""
    for module in NEEDS.get(method, ()):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the engine {method} needs the package {module}, which is not installed")
    if method == "spark" and shutil.which("java") is None:
        pytest.skip("the engine spark needs Java, which is not installed")
    return ENGINES[method](workers=2)


@pytest.fixture(scope="module", autouse=True)
def workers_find_the_tests():
    """Let worker processes import this directory and the package; stop Ray in the end."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT / 'python'}{os.pathsep}{ROOT}"
    os.environ["RAY_DATA_DISABLE_PROGRESS_BARS"] = "1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    if importlib.util.find_spec("ray") is not None:
        import ray

        ray.shutdown()


@pytest.fixture
def expected(catalogue, tmp_path):
    place, _ = catalogue
    map_parquet(TokenizeBatch(place), place / "vectors", tmp_path / "expected")
    return digests(tmp_path / "expected")


def test_there_is_an_engine_for_each_module():
    assert ENGINES.names() == ["local", "ray", "spark"]


@pytest.mark.parametrize("method", ENGINES.names())
def test_an_engine_writes_the_parts_of_one_process(method, catalogue, expected, tmp_path):
    place, _ = catalogue
    map_parquet(
        TokenizeBatch(place, threads=1), place / "vectors", tmp_path / "out", engine=available(method)
    )
    assert digests(tmp_path / "out") == expected


class KillingEngine(Engine):
    """Another engine, the worker of whose third task is killed once."""

    method = "killing"

    def __init__(self, engine, flag):
        super().__init__()
        self.engine = engine
        self.flag = flag

    def run(self, function, tasks):
        yield from self.engine.run(killed.KilledOnce(function, 2, self.flag), tasks)


@pytest.mark.parametrize("method", ["local", "ray"])
def test_a_killed_worker_changes_nothing(method, catalogue, expected, tmp_path):
    place, _ = catalogue
    engine = KillingEngine(available(method), tmp_path / "flag")
    job = map_parquet(TokenizeBatch(place, threads=1), place / "vectors", tmp_path / "out", engine=engine)
    assert (tmp_path / "flag").exists()
    assert digests(tmp_path / "out") == expected
    assert job.written == job.parts


@pytest.mark.parametrize("method", ENGINES.names())
def test_an_error_of_the_data_keeps_its_message(method, catalogue, tmp_path):
    place, _ = catalogue
    engine = available(method)
    with pytest.raises(DataError, match=r"batch of the rows .* wrong type: expected lists of floats"):
        map_parquet(
            TokenizeBatch(place, vector="item_id"), place / "vectors", tmp_path / "out", engine=engine
        )


def test_spark_maps_a_data_frame_in_arrow(catalogue):
    available("spark")
    from pyspark.sql import SparkSession
    from pyspark.sql.pandas.types import from_arrow_schema

    place, x = catalogue
    tokenize = TokenizeBatch(place, threads=1)
    spark = SparkSession.builder.master("local[2]").getOrCreate()
    try:
        frame = spark.read.parquet(str(place / "vectors"))
        schema = from_arrow_schema(tokenize.schema(frame.limit(1).toArrow().schema))
        found = frame.mapInArrow(tokenize.map, schema).toArrow().sort_by("item_id")
    finally:
        spark.stop()
    expected = tokenize.tokenizer.encode(x)
    order = np.argsort([f"i{row}" for row in range(len(x))])
    assert found["codes"].to_pylist() == expected[order].tolist()


@pytest.mark.parametrize("method", ENGINES.names())
def test_results_come_for_every_task(method):
    assert sorted(available(method).run(killed.twice, range(5))) == [0, 2, 4, 6, 8]


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="`workers` is invalid"):
        ENGINES["ray"](workers=0)
    with pytest.raises(ConfigError, match="the engine `local` has no address"):
        ENGINES["local"](address="auto")


def test_a_missing_package_names_its_extra(catalogue, tmp_path, monkeypatch):
    place, _ = catalogue
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ImportError, match=r"sidkit\[ray\]"):
        map_parquet(TokenizeBatch(place), place / "vectors", tmp_path / "out", engine="ray")


def test_what_a_job_wrote_can_be_read(catalogue, tmp_path):
    place, x = catalogue
    map_parquet(TokenizeBatch(place), place / "vectors", tmp_path / "out", engine=available("local"))
    assert len(read(tmp_path / "out")) == len(x)
