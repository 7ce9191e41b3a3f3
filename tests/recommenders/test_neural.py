"""What single recommenders offer beyond the contract, and how trainings of recommenders are controlled."""

import logging
import os
import signal
from copy import copy

import numpy as np
import pytest
import torch
from tests.worlds import ITEMS, small_recommender, small_world

from sidkit.data import EvaluationSet, Histories, Sequences
from sidkit.errors import ConfigError, DataError, RunDirectoryError
from sidkit.ids import SidTable, append_items
from sidkit.recommenders import RECOMMENDERS, SASRec
from sidkit.rerank import SlotPolicy
from sidkit.tokenizers import RQKMeans
from sidkit.train import Checkpoint, ProgressBar, TrainProgress
from sidkit.train.optimizer import learning_rate_share

WORLD = small_world()
QUICK = {"max_steps": 4, "evaluate_every_steps": 2}
GENERATIVE = [method for method in RECOMMENDERS if RECOMMENDERS[method].generative]


def weights(recommender):
    return recommender.network_.state_dict()


def equal(one, other):
    return all(torch.equal(weights(one)[name], weights(other)[name]) for name in weights(one))


def test_callbacks_that_cannot_work_are_refused_before_the_training(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for callback, message in (
        (Checkpoint(file), "the checkpoint cannot be written: expected a directory, got the file"),
        (7, "a callback cannot be called: expected a function of a `TrainProgress`"),
    ):
        steps = []
        with pytest.raises(ConfigError, match=message):
            WORLD.fit(small_recommender("sasrec", **QUICK), callbacks=[steps.append, callback])
        assert not steps


ONE_PASS = {"encoder": "block_causal"}
HASHED = {"prefix_rows": 10}  # prefixes share rows of a table with sparse gradients
SAMPLED = {"sample_above": 1, "negatives": 8}


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("sasrec", {}),
        ("tiger", {}),
        ("tiger", ONE_PASS),
        ("rqtransformer", {}),
        ("rqtransformer", HASHED),
        ("rqtransformer", HASHED | SAMPLED | {"weight_averaging": 0.5}),
    ],
)
def test_an_interrupted_fit_continues_from_its_checkpoint(method, change, tmp_path):
    def press(progress):
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    whole = WORLD.fit(small_recommender(method, **QUICK, **change))
    recommender = small_recommender(method, **QUICK, **change)
    with pytest.raises(SystemExit):
        WORLD.fit(recommender, callbacks=[Checkpoint(tmp_path), press])
    steps = []
    WORLD.fit(recommender, callbacks=[Checkpoint(tmp_path), lambda progress: steps.append(progress.step)])
    assert steps == [4]
    assert equal(whole, recommender)
    assert [entry["loss"] for entry in whole.history_.steps] == [
        entry["loss"] for entry in recommender.history_.steps
    ]


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 0.5}, {"dropout": 0.2}, {"seed": 3}, {"loss": "sampled"}],
    ids=lambda change: next(iter(change)),
)
def test_a_checkpoint_of_other_settings_or_data_is_refused(tmp_path, change):
    checkpoint = Checkpoint(tmp_path, every_seconds=0.0, identity="a")
    with pytest.raises(KeyboardInterrupt):
        WORLD.fit(small_recommender("sasrec", **QUICK), callbacks=[checkpoint, _stop_after(2)])
    with pytest.raises(RunDirectoryError, match=next(iter(change))):
        WORLD.fit(small_recommender("sasrec", **QUICK, **change), callbacks=[checkpoint])
    with pytest.raises(RunDirectoryError, match="`data`"):
        WORLD.fit(small_recommender("sasrec", **QUICK), validation=None, callbacks=[checkpoint])
    with pytest.raises(RunDirectoryError, match="`identity`: expected 'b', got 'a'"):
        WORLD.fit(small_recommender("sasrec", **QUICK), callbacks=[Checkpoint(tmp_path, identity="b")])
    WORLD.fit(small_recommender("sasrec", **QUICK, measure_gemm=True), callbacks=[checkpoint])


def _stop_after(step):
    def callback(progress):
        if progress.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


@pytest.mark.parametrize(
    ("method", "change", "message"),
    [
        ("sasrec", {"heads": 3}, "multiple of `heads`, got 32 with 3 heads"),
        ("rqtransformer", {"heads": 3}, "multiple of `heads`, got 32 with 3 heads"),
        (
            "rqtransformer",
            {"backbone": "lstm"},
            "`backbone`: input should be 'gru' or 'attention', it is 'lstm'",
        ),
        ("decoderonly", {"heads": 32}, "even multiple of `heads`, got 32 with 32 heads"),
        ("sasrec", {"loss": "hinge"}, "`loss`: input should be 'full' or 'sampled', it is 'hinge'"),
        ("gru4rec", {"learning_rate": 0.0}, "`learning_rate`: input should be greater than 0, it is 0.0"),
        (
            "tiger",
            {"encoder": "causal"},
            "`encoder`: input should be 'bidirectional' or 'block_causal', it is 'causal'",
        ),
        ("tiger", {"weight_averaging": 1.0}, "`weight_averaging`: input should be less than 1, it is 1.0"),
        ("actionpiece", {"views": 0}, "`views`: input should be greater than or equal to 1, it is 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_fit(method, change, message):
    recommender = small_recommender(method, **change)  # the constructor stores them
    with pytest.raises(ConfigError, match=message):
        WORLD.fit(recommender)


def test_epochs_become_steps():
    recommender = WORLD.fit(
        SASRec(epochs=1.5, min_steps=0, batch_size=50, d_model=8, heads=1, layers=1, measure_gemm=False)
    )
    assert recommender.history_.steps[-1]["step"] == recommender.train_settings(3).max_steps == 4
    assert recommender.train_settings(10).max_steps == 15
    assert recommender.train_settings(10).evaluate_every_steps == 10
    assert SASRec(max_steps=7, evaluate_every_steps=3).train_settings(10).max_steps == 7


def test_small_data_is_trained_for_some_steps_at_least():
    recommender = SASRec(epochs=2.0, min_steps=30)
    assert [recommender.train_settings(steps).max_steps for steps in (10, 15, 16)] == [30, 30, 32]
    assert recommender.train_settings(10).evaluate_every_steps == 10
    recommender.set_params(max_steps=7)
    assert recommender.train_settings(10).max_steps == 7
    fitted = WORLD.fit(small_recommender("sasrec", epochs=0.1, min_steps=5))
    assert fitted.history_.steps[-1]["step"] == 5


def test_validation_users_without_a_history_are_not_asked():
    validation = WORLD.split.validation
    none = EvaluationSet(validation.users[:3], Sequences.from_rows([[]] * 3), validation.targets[:3])
    with pytest.raises(DataError, match="no validation example has a history"):
        WORLD.fit(small_recommender("sasrec", **QUICK), validation=none)
    few = small_recommender("sasrec", **QUICK, validate_users=5)
    assert len(few._validation_sample(validation)) == 5
    every = small_recommender("sasrec", **QUICK, validate_users=0)
    assert len(every._validation_sample(validation)) == (validation.histories.lengths > 0).sum()


@pytest.mark.parametrize("method", ["sasrec", "rqtransformer", "decoderonly"])
def test_validation_may_exclude_seen_items(method):
    validation = WORLD.split.validation
    for seen in (False, True):
        options = {**QUICK, "validate_users": 0, "validate_exclude_seen": seen, "patience": 0}
        recommender = WORLD.fit(small_recommender(method, **options))
        best = max(entry["metrics"]["ndcg@10"] for entry in recommender.history_.evaluations)
        beam = 10 if method == "decoderonly" else 50  # that of the validation; the others rank every item
        measured = recommender.evaluate(validation, exclude_seen=seen, ks=(10,), beam=beam)
        assert measured["ndcg@10"] == pytest.approx(best, abs=1e-6)


def test_the_learning_rate_may_stay_constant():
    assert [learning_rate_share(step, 2, 6) for step in (0, 1, 2, 4)] == pytest.approx([0.5, 1, 1, 0.5])
    assert [learning_rate_share(step, 2, 6, "constant") for step in (0, 1, 2, 5)] == [0.5, 1, 1, 1]
    recommender = WORLD.fit(small_recommender("sasrec", **QUICK, warmup_steps=0, schedule="constant"))
    assert recommender.history_.steps[-1]["lr"] == recommender.learning_rate
    with pytest.raises(
        ConfigError, match="`schedule`: input should be 'cosine' or 'constant', it is 'linear'"
    ):
        WORLD.fit(small_recommender("sasrec", schedule="linear"))


def test_item_vectors_are_those_of_the_network():
    recommender = WORLD.fit(small_recommender("gru4rec", **QUICK))
    vectors = recommender.item_vectors_
    assert vectors.shape == (ITEMS, 32) and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, recommender.network_.item.weight[:ITEMS].detach().numpy())


def test_user_tokens_need_users():
    recommender = WORLD.fit(small_recommender("tiger", **QUICK, user_buckets=4))
    ids, _ = recommender.recommend(WORLD.split.test, k=3)
    assert len(ids) == len(WORLD.split.test)
    with pytest.raises(ConfigError, match="pass `users`"):
        recommender.recommend(WORLD.walk(0, 2))


# --- generative recommenders


def test_tiger_learns_from_whole_histories():
    recommender = WORLD.fit(small_recommender("tiger", **ONE_PASS))
    ids, _ = recommender.recommend([WORLD.walk(start, 4) for start in range(ITEMS)], k=3)
    right = [WORLD.ids[(start + 4) % ITEMS] for start in range(ITEMS)]
    assert np.mean(ids[:, 0] == right) >= 0.95
    windows = int(np.sum(-(-(WORLD.split.train.lengths - 1) // recommender.max_items)))
    first = recommender.history_.steps[0]
    assert first["epoch"] == first["step"] / -(-windows // recommender.batch_size)
    assert recommender.history_.flops > 0


@pytest.mark.parametrize("method", GENERATIVE)
def test_level_losses_sum_to_the_loss_of_an_item(method, fitted_recommender):
    recommender, test = fitted_recommender(method), WORLD.split.test
    losses = recommender.level_losses(test)
    assert len(losses) == 3 and all(loss >= 0 for loss in losses)
    rows, scores = recommender._rank(test.histories, ITEMS, users=test.users, beam=ITEMS)
    own = scores[rows == test.targets[:, None]]
    assert sum(losses) == pytest.approx(-own.mean(), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("method", GENERATIVE)
def test_semantic_ids_of_new_items_extend_those_of_the_training(method, fitted_recommender):
    recommender, sids = fitted_recommender(method), WORLD.sids
    larger = append_items(sids, sids.codes[:1], ["new-a"])
    other = SidTable(larger.item_ids, larger.tokens, [size + 1 for size in sids.layout.sizes])
    moved = SidTable(larger.item_ids, larger.tokens[::-1], sids.layout)
    vectors = WORLD.vectors[:1]
    for wrong, error, message in (
        (other, ConfigError, r"`sids` do not fit .*: expected tokens of sizes \(4, 3, 4\), got \(5, 4, 5\)"),
        (moved, DataError, "do not extend the catalogue: expected its 24 items, followed by the 1 new ones"),
        (sids, DataError, "do not extend the catalogue: .* got 24 items. Make them with `append_items`"),
        (None, ConfigError, "needs Semantic IDs of new items: expected `tokenizer` or `sids`, got neither"),
    ):
        with pytest.raises(error, match=message):
            copy(recommender).add_items(["new-a"], vectors, sids=wrong)
    with pytest.raises(ConfigError, match="got both"):
        copy(recommender).add_items(["new-a"], vectors, sids=larger, tokenizer=object())


def test_a_tokenizer_gives_new_items_their_semantic_ids(fitted_recommender):
    x, world = WORLD.vectors, WORLD
    tokenizer = RQKMeans(levels=2, codebook_size=4).fit(x)
    sids = tokenizer.semantic_ids(x, world.ids, collision_size=16)
    model = small_recommender("decoderonly", max_steps=2, evaluate_every_steps=2).fit(
        world.split.train, sids=sids
    )
    model.add_items(["new-a", "new-b"], x[[3, 3]], tokenizer=tokenizer)
    codes = tokenizer.encode(x[3:4])[0]
    assert model.sids_.codes[-2:].tolist() == [codes.tolist()] * 2
    assert model.sids_["new-a"] != model.sids_["new-b"]
    with pytest.raises(
        ConfigError, match="the tokenizer encodes vectors of new items: expected `item_vectors`"
    ):
        model.add_items(["new-c"], tokenizer=tokenizer)


@pytest.mark.parametrize("method", GENERATIVE)
def test_slots_for_new_items_are_filled_by_a_search_among_them(method, fitted_recommender):
    sids = append_items(WORLD.sids, WORLD.sids.codes[[0, 9]], ["new-a", "new-b"])
    model = copy(fitted_recommender(method)).add_items(["new-a", "new-b"], WORLD.vectors[[0, 9]], sids=sids)
    histories = [WORLD.walk(start, 3) for start in range(ITEMS)]
    plain, _ = model.recommend(histories, k=5)
    ids, scores = model.recommend(histories, k=5, candidates=5, rerank=SlotPolicy(min=1, max=1))
    new = np.isin(ids.astype(str), ["new-a", "new-b"])
    assert (new.sum(axis=1) == 1).all() and (np.diff(scores, axis=1) <= 0).all()
    assert all(set(row[:3]) <= set(ids[place]) for place, row in enumerate(plain.tolist()))


def test_equal_item_ids_in_another_order_are_another_catalogue():
    train = WORLD.split.train
    turned = Histories(train.values, train.offsets, train.item_ids.reverse())
    with pytest.raises(DataError, match="different catalogues"):
        small_recommender("tiger", **QUICK).fit(turned, sids=WORLD.sids)


# --- progress


def test_without_a_terminal_progress_is_logged_at_intervals(caplog):
    clock = iter([0.0, 10.0, 31.0, 40.0]).__next__
    bar = ProgressBar(every_seconds=30.0, clock=clock)
    with caplog.at_level(logging.INFO, logger="sidkit"):
        for step, metrics in ((1, {}), (2, {}), (3, {"ndcg@10": 0.25}), (4, {"ndcg@10": 0.5})):
            bar(TrainProgress(step, 4, step / 2, 1.5, metrics))
    assert [record.getMessage() for record in caplog.records] == [
        "step 1/4  epoch 0.5  loss 1.5000",
        "step 3/4  epoch 1.5  loss 1.5000  validation ndcg@10 0.2500",
        "step 4/4  epoch 2.0  loss 1.5000  validation ndcg@10 0.5000",
    ]


def test_on_a_terminal_progress_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    bar = ProgressBar(clock=iter([0.0, 0.01, 0.2]).__next__)
    for step in (1, 2, 3):
        bar(TrainProgress(step, 3, 1.0, 2.0, {}))
    written = capsys.readouterr().err
    assert written.count("\r") == 2 and written.endswith("\n")
