"""Two processes on one batch take the steps of one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sidkit.train.batches import Batch


def in_two_processes(script, path):
    """Run a script under torchrun with a directory as its argument."""
    (path / "script.py").write_text(script)
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [sys.executable, "-m", *launch, str(path / "script.py"), str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


METHODS = ("sasrec", "tiger")
TRAINED = """
import sys
from pathlib import Path
from sidkit.train import join
from tests.train.test_processes import METHODS, fitted

processes = join()
for method in METHODS:
    recommender = fitted(method)
    if processes.first:
        recommender.save(Path(sys.argv[1]) / method)
"""


def fitted(method):
    """A recommender of the small world after a few steps, whose batches do not divide evenly; no dropout."""
    from tests.worlds import small_recommender, small_world

    changes = {"max_steps": 12, "evaluate_every_steps": 6, "batch_size": 33, "dropout": 0.0}
    return small_world().fit(small_recommender(method, **changes))


def test_two_processes_train_what_one_does(tmp_path):
    for method in METHODS:
        fitted(method).save(tmp_path / "one" / method)
    (tmp_path / "two").mkdir()
    in_two_processes(TRAINED, tmp_path / "two")
    for method in METHODS:
        one, two = (tmp_path / name / method for name in ("one", "two"))
        histories = [json.loads((path / "history.json").read_text()) for path in (one, two)]
        np.testing.assert_allclose(*([step["loss"] for step in h["steps"]] for h in histories), rtol=1e-5)
        for key, metrics in histories[0]["evaluations"][-1]["metrics"].items():
            assert histories[1]["evaluations"][-1]["metrics"][key] == pytest.approx(metrics, abs=0.02)
        weights, others = (load_file(path / "model.safetensors") for path in (one, two))
        for name, weight in weights.items():
            if not name.endswith("qkv.bias"):  # that of keys has no effect, so rounding alone moves it
                np.testing.assert_allclose(others[name], weight, rtol=1e-3, atol=2e-3, err_msg=name)


RESUMED = """
import sys
from pathlib import Path
import torch
from sidkit.train import join
from tests.train.test_loop import checkpoint_file, interrupt_at, train

path, processes = Path(sys.argv[1]), join()
whole, _ = train(path / "whole")
try:  # Ctrl-C reaches the second process alone, and stops both
    train(path / "parts", callback=interrupt_at(7) if processes.rank else lambda _: None)
    raise SystemExit("was not interrupted")
except KeyboardInterrupt:
    pass
assert checkpoint_file(path / "parts").exists() or not processes.first  # the first process writes it
parts, _ = train(path / "parts")
assert not checkpoint_file(path / "parts").exists()
for name, weight in whole.state_dict().items():
    assert torch.equal(weight, parts.state_dict()[name]), name
"""


def test_two_processes_continue_where_they_were_interrupted(tmp_path):
    in_two_processes(RESUMED, tmp_path)


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
