"""Two processes on one batch: the steps of one, written once."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tests.run.world import QUICK

from sidkit.run import RunDirectory, build_config, run_pipeline
from sidkit.train.batches import Batch

SETTINGS = [
    *QUICK,
    'models.use=["sasrec", "tiger"]',
    *(
        f"train.{model}.{setting}"
        for model in ("sasrec", "tiger")
        for setting in ("max_steps=12", "evaluate_every_steps=6", 'precision="f32"', "batch_size=33")
    ),
]


def in_two_processes(verb, world, out, settings):
    """Run a verb under torchrun, and give what the processes printed."""
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sidkit", verb]
    arguments = [part for setting in settings for part in ("--set", setting)]
    told = subprocess.run(
        [sys.executable, "-m", *launch, str(world), "--out", str(out), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_two_processes_train_what_one_does(world, tmp_path):
    settings = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}", *SETTINGS]
    run_pipeline(build_config(assignments=settings), tmp_path / "one", until="train")
    said = in_two_processes("train", world, tmp_path / "two", settings[1:])
    assert said.count(" -> ") == 1  # one of them speaks
    assert {*RunDirectory(tmp_path / "one").records} == {*RunDirectory(tmp_path / "two").records}
    for model in ("sasrec", "tiger"):
        one, two = (tmp_path / name / "models" / model for name in ("one", "two"))
        histories = [json.loads((folder / "history.json").read_text()) for folder in (one, two)]
        np.testing.assert_allclose(*([step["loss"] for step in h["steps"]] for h in histories), rtol=1e-5)
        for key, metrics in histories[0]["evaluations"][-1]["metrics"].items():
            assert histories[1]["evaluations"][-1]["metrics"][key] == pytest.approx(metrics, abs=0.02)
        weights, others = (load_file(folder / "model.safetensors") for folder in (one, two))
        for name, weight in weights.items():
            if not name.endswith("qkv.bias"):  # that of keys has no effect, so rounding alone moves it
                np.testing.assert_allclose(others[name], weight, rtol=1e-3, atol=1e-3, err_msg=name)


def test_two_processes_train_the_sasrec_of_a_tokenizer(world, tmp_path):
    settings = [f"data.source={world}", f"embed.vectors={world / 'vectors.npy'}", *SETTINGS]
    settings += ["quantize.vectors=behaviour", "quantize.behaviour_from=sasrec", "quantize.behaviour_dim=6"]
    run_pipeline(build_config(assignments=settings), tmp_path / "one", until="quantize")
    in_two_processes("tokenize", world, tmp_path / "two", settings[1:])
    one, two = (load_file(tmp_path / name / "quantized.safetensors")["embeddings"] for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-3)


RESUMED = """
import dataclasses, sys
from pathlib import Path
import torch
from sidkit.train import join
from tests.train.test_fit import SETTINGS, interrupt_at, train

folder, processes = Path(sys.argv[1]), join()
settings = dataclasses.replace(SETTINGS, checkpoint_every_seconds=1e9)
whole, _ = train(folder / "whole", settings)
try:  # Ctrl-C reaches the second process alone, and stops both
    train(folder / "parts", settings, on_progress=interrupt_at(7) if processes.rank else lambda _: None)
    raise SystemExit("was not interrupted")
except KeyboardInterrupt:
    pass
parts, _ = train(folder / "parts", settings)
for name, weight in whole.state_dict().items():
    assert torch.equal(weight, parts.state_dict()[name]), name
"""


def test_two_processes_go_on_where_they_were_interrupted(tmp_path):
    (tmp_path / "resumed.py").write_text(RESUMED)
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    out = subprocess.run(
        [sys.executable, "-m", *launch, str(tmp_path / "resumed.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert out.returncode == 0, out.stderr
    assert (tmp_path / "parts" / "model.safetensors").exists()


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
