"""RQ-KMeans over shards: the codebooks of one machine, bit for bit."""

import multiprocessing
import os
import signal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sidkit.errors import ConfigError, DataError, SidkitError
from sidkit.scale import fit_shards
from sidkit.scale.batches.vectors import list_column
from sidkit.scale.kmeans import workers as pools
from sidkit.scale.kmeans.fit import shard_ranges
from sidkit.scale.kmeans.source import VectorSource
from sidkit.tokenizers import RQKMeans
from sidkit.tokenizers.parts.sums import SUM_ROWS, block_sums, merged

ROWS = 2 * SUM_ROWS + 1000


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """Vectors in clusters, with repeated rows so that centroids become empty; as .npy and as Parquet."""
    place = tmp_path_factory.mktemp("vectors")
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(40, 6))[rng.integers(40, size=ROWS)] * 5 + rng.normal(size=(ROWS, 6))).astype(
        np.float32
    )
    x[: ROWS // 2] = x[0]
    np.save(place / "x.npy", x)
    for number, start in enumerate((0, 50_000, 50_001)):
        stop = (50_000, 50_001, ROWS)[number]
        table = pa.table({"item_id": np.arange(start, stop), "vector": list_column(x[start:stop])})
        (place / "parquet").mkdir(exist_ok=True)
        pq.write_table(table, place / f"parquet/{number}.parquet", row_group_size=30_000)
    return place, x


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({"init": "bisect"}, {"shards": 3}),
        ({"init": "k-means++", "standardize": False}, {"shards": 2}),
        ({"init": "k-means||", "seed": 3}, {"shards": 3}),
        ({"init": "bisect", "iterations": 40}, {"shards": 1}),
        ({"init": "k-means||", "iterations": 3}, {"shards": 3, "workers": 2}),
    ],
)
def test_codebooks_are_those_of_one_machine(vectors, settings, options):
    place, x = vectors
    settings = {"iterations": 8, "levels": 2, "codebook_size": 24} | settings
    expected = RQKMeans(**settings).fit(x)
    found = fit_shards(RQKMeans(**settings), place / "parquet", **options)
    assert found.fingerprint == expected.fingerprint
    assert np.array_equal(found.encode(x[::997]), expected.encode(x[::997]))


def test_the_format_of_vectors_does_not_matter(vectors):
    place, _ = vectors
    settings = {"levels": 1, "codebook_size": 8, "iterations": 2}
    one, other = (fit_shards(RQKMeans(**settings), place / name, shards=3) for name in ("x.npy", "parquet"))
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("blocks", range(1, 18))
def test_sums_do_not_depend_on_the_division(blocks):
    rng = np.random.default_rng(blocks)
    terms = [rng.normal(size=3) * 10.0 ** rng.integers(-8, 8) for _ in range(blocks)]
    leaves = [(0, number, term) for number, term in enumerate(terms)]

    def tree(low, high):  # the definition
        if low >= blocks:
            return None
        if high - low == 1:
            return terms[low]
        left, right = tree(low, (low + high) // 2), tree((low + high) // 2, high)
        return left if right is None else left + right

    width = 1 << (blocks - 1).bit_length()
    assert merged(leaves).tolist() == tree(0, width).tolist()


def test_block_sums_are_sums():
    x = np.random.default_rng(0).normal(size=(SUM_ROWS + 5, 2)).astype(np.float32)
    nodes = block_sums(x, lambda rows: rows, first=3 * SUM_ROWS)
    assert [node[:2] for node in nodes] == [(0, 3), (0, 4)]
    assert nodes[1][2] == pytest.approx(x[SUM_ROWS:].sum(axis=0, dtype=np.float64))


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 100])
def test_shards_are_whole_blocks_that_cover_all_rows(shards):
    for rows in (1, SUM_ROWS, 5 * SUM_ROWS + 3):
        ranges = shard_ranges(rows, shards)
        assert [start for start, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
        assert ranges[-1][1] == rows and all(start % SUM_ROWS == 0 for start, _ in ranges)


def test_rows_are_read_from_any_range(vectors):
    place, x = vectors
    for start, stop in ((0, 5), (49_990, 50_010), (SUM_ROWS, ROWS)):
        assert np.array_equal(VectorSource(str(place / "parquet")).read(start, stop), x[start:stop])


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"balanced": True}, {}, "`balanced` needs all vectors in one place"),
        ({"subsample": 1000}, {}, "`subsample` needs all vectors"),
        ({}, {"workers": 2, "shards": 1}, "shards do not fit the workers"),
        ({}, {"engine": "spark"}, "no such engine of fitting"),
        ({}, {"address": "auto"}, "the engine `local` has no address"),
    ],
)
def test_settings_are_checked(vectors, settings, options, message):
    place, _ = vectors
    with pytest.raises(ConfigError, match=message):
        fit_shards(RQKMeans(**settings), place / "x.npy", **options)


def test_bad_vectors_are_named(tmp_path):
    x = np.ones((100, 3), np.float32)
    x[70, 1] = np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataError, match="row 70 at dimension 1"):
        fit_shards(RQKMeans(1, 4), tmp_path / "x.npy")
    np.save(tmp_path / "few.npy", x[:3])
    with pytest.raises(DataError, match="there are too few vectors: expected at least 4"):
        fit_shards(RQKMeans(1, 4), tmp_path / "few.npy")
    with pytest.raises(DataError, match="cannot be read"):
        fit_shards(RQKMeans(1, 4), tmp_path / "none.npy")


def test_a_killed_worker_is_an_error_and_no_process_is_left(vectors):
    place, _ = vectors
    source = VectorSource(str(place / "x.npy"))
    ranges = shard_ranges(ROWS, 2)
    with pools.start_workers(source, ranges, engine="local", workers=2, address=None) as pool:
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(SidkitError, match="a worker of the fit is lost"):
            for _ in range(2):
                pool.call("moments")
    assert not multiprocessing.active_children()
