"""Two processes on one batch take the steps of one."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file
from tests.train.test_loop import checkpoint_file, train
from tests.worlds import small_recommender, small_world

from sidkit.data import ParquetHistories
from sidkit.train.batches.batch import Batch


def in_two_processes(script, path, restarts=0):
    """Run a script under torchrun with a directory as its argument."""
    (path / "script.py").write_text(script)
    launch = [
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        str(restarts),
    ]
    ran = subprocess.run(
        [sys.executable, "-m", *launch, str(path / "script.py"), str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


METHODS = ("sasrec", "tiger", "rqtransformer")
#: Trained from Parquet files, of which each process reads its own fragments.
FROM_FILES = ("sasrec", "rqtransformer")

#: Both tests share one launch, most of whose time is the start of the processes.
SCRIPT = """
import sys
from pathlib import Path
import torch
from sidkit.train import join
from tests.train.test_loop import checkpoint_file, interrupt_at, train
from tests.train.test_processes import FROM_FILES, METHODS, fitted

path, processes = Path(sys.argv[1]), join()
for method in METHODS:
    recommender = fitted(method)
    if processes.first:
        recommender.save(path / method)
for method in FROM_FILES:
    recommender = fitted(method, path / "histories")
    if processes.first:
        recommender.save(path / f"{method}-from-files")

whole, _ = train(path / "whole")
def interrupted(path, **options):
    # Ctrl-C reaches the second process alone, and stops both
    try:
        train(path, callback=interrupt_at(7) if processes.rank else lambda _: None, **options)
        raise SystemExit("was not interrupted")
    except KeyboardInterrupt:
        pass
    assert checkpoint_file(path).exists() or not processes.first  # the first process writes it

interrupted(path / "parts")
parts, _ = train(path / "parts")
assert not checkpoint_file(path / "parts").exists()
interrupted(path / "for-one", dropout=0.0)
torch.save([whole.state_dict(), parts.state_dict()], path / f"resumed-{processes.rank}.pt")
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Directory with the results of two processes."""
    path = tmp_path_factory.mktemp("two")
    write_files(path / "histories")
    in_two_processes(SCRIPT, path)
    return path


def write_files(path):
    """Write the training histories of the small world to Parquet files of a few rows each."""
    train = small_world().split.train
    rows = [train.ids(row) for row in range(len(train))]
    path.mkdir()
    for number in range(7):
        table = pa.table({"items": pa.array(rows[number::7], pa.list_(pa.string()))})
        pq.write_table(table, path / f"{number}.parquet", row_group_size=10)


def fitted(method, files=None):
    """A recommender of the small world after a few steps, whose batches do not divide evenly; no dropout."""
    changes = {"max_steps": 12, "evaluate_every_steps": 6, "batch_size": 33, "dropout": 0.0}
    changes |= {"attention_dropout": 0.0} if method == "sasrec" else {}
    world, recommender = small_world(), small_recommender(method, **changes)
    if files is None:
        return world.fit(recommender)
    histories = ParquetHistories(files, world.split.train.item_ids, fragment_rows=10)
    sids = world.sids if recommender.generative else None
    return recommender.fit(histories, sids=sids, validation=world.split.validation)


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_train_what_one_does(method, two, tmp_path):
    fitted(method).save(tmp_path)
    check_equal(tmp_path, two / method)


@pytest.mark.parametrize("method", FROM_FILES)
def test_two_processes_train_from_files_what_one_does(method, two, tmp_path):
    fitted(method, two / "histories").save(tmp_path)
    check_equal(tmp_path, two / f"{method}-from-files")


def check_equal(one, other):
    """Check that two saved recommenders had the same training but for rounding."""
    histories = [json.loads((path / "history.json").read_text()) for path in (one, other)]
    np.testing.assert_allclose(*([step["loss"] for step in h["steps"]] for h in histories), rtol=1e-5)
    for key, metrics in histories[0]["evaluations"][-1]["metrics"].items():
        assert histories[1]["evaluations"][-1]["metrics"][key] == pytest.approx(metrics, abs=0.02)
    weights, others = (load_file(path / "model.safetensors") for path in (one, other))
    for name, weight in weights.items():
        if not name.endswith("qkv.bias"):  # that of keys has no effect, so rounding alone moves it
            np.testing.assert_allclose(others[name], weight, rtol=1e-3, atol=2e-3, err_msg=name)


@pytest.mark.parametrize("rank", [0, 1])
def test_two_processes_continue_where_they_were_interrupted(rank, two):
    whole, parts = torch.load(two / f"resumed-{rank}.pt", weights_only=True)
    for name, weight in whole.items():
        assert torch.equal(weight, parts[name]), name


def test_one_process_continues_what_two_began(two, tmp_path):
    shutil.copytree(two / "for-one", tmp_path / "continued")
    network, history = train(tmp_path / "continued", dropout=0.0)
    whole, expected = train(dropout=0.0)
    assert not checkpoint_file(tmp_path / "continued").exists()
    losses = [[step["loss"] for step in each.steps] for each in (history, expected)]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    for name, weight in whole.state_dict().items():
        if not name.endswith("qkv.bias"):
            torch.testing.assert_close(network.state_dict()[name], weight, rtol=1e-3, atol=2e-3)


#: The second process is killed at step 7 of the first attempt; `torchrun` starts both again.
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from sidkit.train import join
from tests.train.test_loop import train

path, processes = Path(sys.argv[1]), join()

def killed(progress):
    if progress.step == 7 and processes.rank == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)

network, history = train(path / "killed", callback=killed, every_seconds=0)
attempts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
torch.save([attempts, network.state_dict(), history.steps], path / f"killed-{processes.rank}.pt")
"""


def test_a_training_survives_a_killed_process(two):
    in_two_processes(KILLED, two, restarts=1)
    whole, _ = torch.load(two / "resumed-0.pt", weights_only=True)
    for rank in (0, 1):
        attempts, weights, _ = torch.load(two / f"killed-{rank}.pt", weights_only=True)
        assert attempts == 1
        for name, weight in whole.items():
            assert torch.equal(weight, weights[name]), name


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_the_parts_of_a_batch_are_the_batch(rows):
    batch = Batch(
        torch.arange(rows * 3).view(rows, 3), torch.arange(rows), torch.arange(rows), 1.0, torch.ones(rows), 3
    )
    parts = [batch.part(rank, 3) for rank in range(3)]
    for name in ("history", "target", "users", "targets"):
        together = torch.cat([getattr(part, name) for part in parts])
        assert sorted(together.flatten().tolist()) == sorted(getattr(batch, name).flatten().tolist())
    assert sum(len(part.history) for part in parts) == rows
