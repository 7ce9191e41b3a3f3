"""A session answers as the recommender that it was saved from."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from tests.worlds import ITEMS, small_recommender, small_world

import sidkit
from sidkit import ItemSet, Session, Trie
from sidkit.data import Histories, Sequences
from sidkit.errors import ConfigError, DataError, FormatError
from sidkit.ids import append_items

BRIEF = {"max_steps": 20, "min_steps": 1}
MODELS = {
    "gru": ("rqtransformer", {}),
    "stacked": ("rqtransformer", {"layers": 2, "content": False, "graph": False}),
    "attention": ("rqtransformer", {"backbone": "attention", "layers": 2}),
    "sampled": ("rqtransformer", {"sample_above": 5, "negatives": 8, "graph": False}),
    "sasrec": ("sasrec", {"layers": 2}),
    "gru4rec": ("gru4rec", {"layers": 2}),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of all kinds, and the directories that they were saved to."""
    world, found = small_world(), {}
    for name, (method, changes) in MODELS.items():
        model = world.fit(small_recommender(method, **(BRIEF | changes)), validation=None)
        path = tmp_path_factory.mktemp(name)
        model.save(path)
        if name == "sampled":
            Session.export(model, path)
        found[name] = model, path
    return found


@pytest.fixture(scope="module", params=MODELS)
def pair(models, request):
    """A model and its session."""
    model, path = models[request.param]
    return model, Session.open(path)


@pytest.fixture
def session(models):
    return Session.open(models["gru"][1])


def same(found, expected, tolerance=1e-4):
    """The same scores, and the same items except for ties."""
    (ids, scores), (others, wanted) = found, expected
    np.testing.assert_allclose(scores, wanted, atol=tolerance, rtol=0)
    for row, place in np.argwhere(np.atleast_2d(ids != others)):
        near = np.abs(np.atleast_2d(wanted)[row] - np.atleast_2d(scores)[row, place]) < tolerance
        assert np.atleast_2d(ids)[row, place] in np.atleast_2d(others)[row, near] or near[-1]


def tolerance_of(model):
    """Torch keeps the vectors of sampled levels in half precision, a session does not."""
    return 5e-3 if model.scorings == ("sid",) else 1e-4


def test_every_scoring_equals_that_of_the_recommender(pair):
    model, session = pair
    examples = small_world().split.test
    for scoring in session.scorings:
        found = session.recommend(examples, scoring=scoring)
        same(found, model.recommend(examples, scoring=scoring), tolerance_of(model))
    assert session.scorings == model.scorings
    assert (session.method, len(session)) == (model.method, ITEMS)
    assert session.item_ids.tolist() == model.item_ids_.to_list()
    np.testing.assert_array_equal(session.item_counts, model.item_counts_)


def test_items_without_training_events_are_new_in_a_session_as_well(tmp_path):
    world = small_world()
    split = world.dataset.split("cold_items", share=0.2, seed=3)
    model = small_recommender("rqtransformer", unseen_as_new=True, new_item_bias=0.7, **BRIEF)
    model.fit(split.train, sids=world.sids, item_vectors=world.vectors)
    assert model.network_.settings["imputed"] == int(split.cold_items.sum())
    model.save(tmp_path)
    session = Session.open(tmp_path)
    for scoring in model.scorings:
        expected = model.recommend(split.test, k=ITEMS, scoring=scoring)
        same(session.recommend(split.test, k=ITEMS, scoring=scoring), expected)
        same(sidkit.load_model(tmp_path).recommend(split.test, k=ITEMS, scoring=scoring), expected)
    more = append_items(world.sids, world.sids.codes[:1], ["new-a"])
    model.add_items(["new-a"], world.vectors[:1], sids=more)
    session.add_items(["new-a"], world.vectors[:1], tokens=more.tokens[-1:])
    same(session.recommend(split.test, scoring="exact"), model.recommend(split.test, scoring="exact"))


def test_filters_are_those_of_the_recommender(pair):
    model, session = pair
    world = small_world()
    histories = [world.walk(start, 1 + start % 8) for start in range(12)] + [[]]
    each = [world.walk(start, 10) for start in range(13)]
    for options in (
        {"k": 30},
        {"exclude_seen": False, "k": 24},
        {"exclude": world.ids[:9]},
        {"exclude": each},
        {"allow": world.ids[5:12], "exclude": [world.ids[6]]},
        {"allow": each, "exclude_seen": False},
        {"allow": [[] for _ in histories]},
    ):
        found = session.recommend(histories, **options)
        same(found, model.recommend(histories, **options), tolerance_of(model))


def test_similar_items_are_those_of_the_recommender(pair):
    model, session = pair
    ids = small_world().ids[3:6]
    same(session.similar_items(ids, k=30), model.similar_items(ids, k=30))
    assert session.similar_items(ids[0])[0].shape == (10,)
    np.testing.assert_allclose(session.item_vectors(), model._item_vectors(), atol=1e-5)


def test_one_history_equals_its_row_in_a_batch(pair):
    _, session = pair
    world = small_world()
    histories = [world.walk(3, 5), [], world.walk(9, 1)]
    ids, scores = session.recommend(histories, k=6)
    for row, history in enumerate(histories):
        alone = session.recommend(history, k=6)
        assert alone[0].tolist() == ids[row].tolist()
        np.testing.assert_array_equal(alone[1], scores[row])


def test_a_state_equals_its_history(pair):
    _, session = pair
    world = small_world()
    state = session.start(world.walk(2, 2))
    for step in range(9):  # beyond the window of the encoder
        found, expected = state.recommend(5), session.recommend(world.walk(2, 2 + step), k=5)
        assert found[0].tolist() == expected[0].tolist()
        np.testing.assert_array_equal(found[1], expected[1])
        assert state.append(world.after(world.walk(2, 2 + step)[-1]))
    assert not state.append("no such item")
    assert state.history.tolist() == world.walk(2, 11)
    only = state.recommend(3, allow=world.ids[:2], exclude=world.ids[:1], exclude_seen=False)
    assert only[0].tolist() == [world.ids[1], None, None]


def test_histories_come_in_every_form(session):
    world = small_world()
    lists = [world.walk(1, 3), world.walk(8, 3)]
    expected = session.recommend(lists)
    rows = [[world.ids.index(item) for item in each] for each in lists]
    forms = [
        np.array(lists),
        pl.Series(lists),
        pl.Series(lists).to_arrow(),
        [np.array(each, object) for each in lists],
        Sequences.from_rows(rows),
        world.split.test.take(np.arange(2)),
        (tuple(each) for each in lists),
    ]
    for form in forms[:-2] + forms[-1:]:
        found = session.recommend(form)
        assert found[0].tolist() == expected[0].tolist()
    same(session.recommend(forms[-2]), session.recommend(Sequences.from_rows(list(forms[-2].histories))))
    train = world.split.train
    assert isinstance(train, Histories)
    assert session.recommend(train)[0].shape == (len(train), 10)
    assert session.recommend(pl.Series([], dtype=pl.List(pl.String)))[0].shape == (0, 10)


def test_unknown_items_are_skipped_unless_strict(session):
    world = small_world()
    history = world.walk(4, 3)
    found = session.recommend([["new", *history, "x"], ["new"]])
    expected = session.recommend([history, []])
    assert found[0].tolist() == expected[0].tolist()
    assert session.known(["new", history[0]]).tolist() == [False, True]
    for wrong in (["new"], [history, ["new"]], []):
        with pytest.raises(DataError, match=r"unknown|empty"):
            session.recommend(wrong, strict=True)
    same(session.recommend([history], strict=True), session.recommend([history]))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"histories": [1]}, DataError),
        ({"histories": [True]}, DataError),
        ({"histories": ["item-00", 3]}, DataError),
        ({"histories": [1.5]}, DataError),
        ({"histories": "item-00"}, DataError),
        ({"histories": 3}, DataError),
        ({"histories": {"item-00": 1}}, DataError),
        ({"histories": ["item-00", ["item-01"]]}, DataError),
        ({"histories": pl.DataFrame({"a": [1]})}, DataError),
        ({"k": 0}, ConfigError),
        ({"k": True}, ConfigError),
        ({"k": 2.0}, ConfigError),
        ({"beam": 0}, ConfigError),
        ({"scoring": "score"}, ConfigError),
        ({"scoring": "best"}, ConfigError),
        ({"allow": [["item-00"], ["item-01"]]}, DataError),
        ({"allow": [None]}, DataError),
        ({"exclude": [["item-00"], ["item-01"], []]}, DataError),
        ({"k": 2**62}, ConfigError),
    ],
)
def test_wrong_arguments_are_refused(session, arguments, error):
    with pytest.raises(error):
        session.recommend(**({"histories": ["item-00"]} | arguments))


def test_integer_ids_match_their_text(tmp_path):
    world = small_world(integers=True)
    model = world.fit(small_recommender("gru4rec", **BRIEF), validation=None)
    model.save(tmp_path)
    session = Session.open(tmp_path)
    history = world.walk(3, 3)
    ids, _ = session.recommend(history)
    assert ids.dtype == np.int64 and ids.tolist() == model.recommend(history)[0].tolist()
    assert session.recommend([str(item) for item in history])[0].tolist() == ids.tolist()
    odd = [*history, 2**70, -5, np.uint8(3)]
    assert session.recommend(odd)[0].tolist() == ids.tolist()
    assert session.recommend([*map(str, history), "x", "9" * 30, ""])[0].tolist() == ids.tolist()
    assert session.recommend(history, k=30)[0][-1] == -1


def test_item_sets_limit_recommendations(session):
    world = small_world()
    trie = Trie.build(world.sids.packed, world.sids.layout)  # of rows, without ids
    chosen = trie.item_set(np.arange(4, 9))
    assert isinstance(chosen, ItemSet) and chosen.item_ids is None
    with_ids = world.sids.trie.item_set(np.arange(4, 9))
    assert (
        session.recommend([], allow=with_ids)[0].tolist() == session.recommend([], allow=chosen)[0].tolist()
    )
    ids, _ = session.recommend(world.walk(0, 3), k=9, allow=chosen)
    assert set(ids.tolist()) == {*world.ids[4:9], None}
    sets = [trie.item_set(np.arange(2)), trie.item_set(np.arange(3, 4))]
    batch, _ = session.recommend([[], []], k=2, allow=sets)
    assert [set(row) for row in batch.tolist()] == [set(world.ids[:2]), {world.ids[3], None}]
    rest, _ = session.recommend([], k=ITEMS, exclude=chosen)
    assert set(rest.tolist()) == {*world.ids[:4], *world.ids[9:], None}


def test_added_and_removed_items_equal_those_of_the_recommender(models, session):
    world = small_world()
    model = sidkit.load_model(models["gru"][1])
    vectors = world.vectors[[3, 17]] + 0.25
    codes = world.sids.tokens[[3, 17], :2]
    sids = append_items(world.sids, codes, pl.Series(["new-0", "new-1"]))
    model.add_items(["new-0", "new-1"], vectors, sids=sids).remove_items([world.ids[5]])
    before = session.recommend(world.walk(1, 3), k=ITEMS)[0].tolist()
    session.add_items(["new-0", "new-1"], vectors, tokens=sids.tokens[-2:])
    session.remove_items([world.ids[5]])
    assert (len(session), session.version, int(session.removed.sum())) == (ITEMS + 1, 2, 1)
    histories = [world.walk(start, 3) for start in range(8)] + [["new-0", world.ids[2]], ["new-1"], []]
    for scoring in ("sid", "exact"):
        same(
            session.recommend(histories, k=30, scoring=scoring),
            model.recommend(histories, k=30, scoring=scoring),
        )
    assert session.semantic_id("new-1") == str(sids["new-1"])
    session.remove_items(["new-0", "new-1"])
    session.add_items([world.ids[5]], vectors[:1], tokens=sids.tokens[:1])
    assert set(session.recommend(world.walk(1, 3), k=ITEMS)[0].tolist()) == set(before)
    model.save(models["gru"][1] / "changed")
    changed = Session.open(models["gru"][1] / "changed")
    for scoring in changed.scorings:
        same(
            changed.recommend(histories, k=30, scoring=scoring),
            model.recommend(histories, k=30, scoring=scoring),
        )
    assert len(changed) == ITEMS + 1


def test_items_that_do_not_fit_are_refused(models, session):
    good = {"item_ids": ["new"], "item_vectors": np.zeros((1, 16)), "tokens": [[0, 0, 1]]}
    for changes in (
        {"item_ids": [7]},
        {"item_ids": ["item-00"]},
        {"item_ids": ["a", "b"]},
        {"item_vectors": np.full((1, 16), np.nan)},
        {"item_vectors": np.zeros((1, 15))},
        {"tokens": [[0, 0, 9]]},
        {"tokens": [[0, 0, -1]]},
        {"tokens": [[0.5, 0, 1]]},
        {"tokens": [[0, 0]]},
    ):
        with pytest.raises(DataError):
            session.add_items(**(good | changes))
    with pytest.raises(ConfigError, match="content"):
        session.add_items(["new"], tokens=[[0, 0, 1]])
    with pytest.raises(ConfigError, match="vector per item"):
        Session.open(models["sasrec"][1]).add_items(["new"], np.zeros((1, 0)), tokens=np.zeros((1, 0), int))
    with pytest.raises(DataError, match="unknown"):
        session.remove_items(["item-00", "new"])
    assert (session.version, len(session)) == (0, ITEMS)


def test_sessions_pickle_by_path(session):
    again = pickle.loads(pickle.dumps(session))
    history = small_world().walk(3, 4)
    assert again.recommend(history)[0].tolist() == session.recommend(history)[0].tolist()
    session.remove_items(["item-03"])
    with pytest.raises(ConfigError, match="pickled"):
        pickle.dumps(session)


def test_threads_share_a_session(session):
    world = small_world()
    histories = [world.walk(start % ITEMS, 1 + start % 7) for start in range(40)]
    expected = [session.recommend(history)[0].tolist() for history in histories]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda history: session.recommend(history)[0].tolist(), histories))
    assert found == expected


def test_damaged_and_foreign_files_are_refused(models, tmp_path):
    path = models["gru"][1]
    data = (path / "inference.safetensors").read_bytes()
    for number, wrong in enumerate(
        (b"", data[:100], data[:-1], data[:5000] + b"\x00" + data[5001:], b"x" * 500)
    ):
        file = tmp_path / f"{number}.safetensors"
        file.write_bytes(wrong if wrong != data else data[:5000] + b"\x01" + data[5001:])
        with pytest.raises(FormatError, match="inference file"):
            Session.open(file)
    with pytest.raises(FileNotFoundError):
        Session.open(tmp_path / "nothing")
    with pytest.raises(FormatError, match="not a saved model"):
        Session.open(tmp_path)
    small_world().fit(small_recommender("item_knn")).save(tmp_path / "knn")
    with pytest.raises(ConfigError, match="item_knn"):
        Session.open(tmp_path / "knn")
    with pytest.raises(ConfigError, match="item_knn"):
        Session.export(sidkit.load_model(tmp_path / "knn"), tmp_path / "x.safetensors")
    with pytest.raises(ConfigError, match="threads"):
        Session.open(path, threads=0)


def test_a_session_needs_numpy_only(models):
    code = f"""
import sys
import sidkit
session = sidkit.Session.open({str(models["gru"][1])!r})
ids, scores = session.recommend(["item-00", "item-01"], k=3)
assert ids.shape == (3,), ids
loaded = {{"torch", "polars", "pyarrow", "scipy", "pydantic", "safetensors"}} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)
