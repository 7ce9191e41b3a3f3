"""ActionPieceTIGER from configuration to recommendations, and a training that is interrupted."""

import os
import signal

import pytest
import torch
from tests.run.world import write_world

from sidkit.data import cyclic_world
from sidkit.errors import ConfigError
from sidkit.evaluate import Metrics
from sidkit.ids import SidTable
from sidkit.recommenders import ActionPieceTIGER
from sidkit.run import build_config, open_run, run_pipeline
from sidkit.train import Checkpoint

SIZES = {
    "vocabulary_size": 60,
    "views": 2,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "heads": 2,
    "d_head": 16,
    "d_ff": 64,
    "dropout": 0.0,
    "max_items": 5,
}
TRAINING = {
    "max_steps": 120,
    "batch_size": 64,
    "warmup_steps": 10,
    "evaluate_every_steps": 60,
    "learning_rate": 0.005,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actionpiece")
    world = write_world(folder / "world")
    config = build_config(
        {
            "data": {"source": str(world)},
            "embed": {"vectors": str(world / "vectors.npy")},
            "tokenize": {"method": "opq", "levels": 2, "codebook_size": 8},
            "recommenders": {"use": ["actionpiece"], "actionpiece": SIZES | TRAINING},
            "decode": {"beam": 10, "k": 10},
            "evaluate": {"ks": [1, 10], "bootstrap_samples": 50},
        }
    )
    run_pipeline(config, folder / "run")
    return folder / "run"


def test_a_run_learns_the_world(finished):
    metrics = Metrics.load(finished / "metrics.json")
    assert metrics.models == ["actionpiece"]
    assert metrics.find("actionpiece", "recall@1").value > 0.7
    assert "ActionPiece" in (finished / "report.html").read_text()


def test_a_run_recommends_what_follows(finished):
    run = open_run(finished)
    assert run.model == "actionpiece"
    ids = run.dataset.item_ids.to_list()
    right = 0
    for at in range(12):
        items, scores = run.recommend(ids[at : at + 4], k=3)
        assert items.shape == scores.shape == (3,)
        right += items[0] == ids[at + 4]
    assert right >= 9


def train(path=None, callback=lambda progress: None, **settings):
    world = cyclic_world(users=60, items=12, max_events=8)
    tokens = [[item // 4, item % 4] for item in range(12)]
    sids, split = SidTable(world.dataset.item_ids, tokens, [3, 4]), world.dataset.split()
    small = {"vocabulary_size": 30, "dropout": 0.2, "max_steps": 12, "evaluate_every_steps": 6}
    model = ActionPieceTIGER(**(SIZES | TRAINING | small | settings))
    callbacks = [callback] if path is None else [Checkpoint(path), callback]
    return model.fit(split.train, sids=sids, validation=split.validation, callbacks=callbacks).network_


def test_an_interrupted_training_ends_as_any_other(tmp_path):
    """Interrupted within an epoch, whose merged tokens are drawn again."""

    def interrupt(progress):
        if progress.step == 7:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, interrupt)
    assert (tmp_path / "checkpoint.safetensors").exists()
    resumed, whole = train(tmp_path), train()
    for name, weight in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weight), name


def test_a_vocabulary_without_room_for_the_tokens():
    with pytest.raises(ConfigError, match=r"vocabulary.*7"):
        train(vocabulary_size=6)
