"""The contract of every recommender, built in or a plug-in.

A test class derives from `RecommenderContract` and has two fixtures: `case`, a `Case`, and `fitted`, a
recommender fitted on its world, which no test changes.
"""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from tests.worlds import ITEMS, SmallWorld

from sidkit import ItemSet, SidLayout, Trie
from sidkit.data import Catalogue, EvaluationSet, Sequences
from sidkit.errors import ConfigError, DataError, FormatError, NotFittedError
from sidkit.recommenders import load_model
from sidkit.recommenders.storage import checksum_of
from sidkit.rerank import Boost

__all__ = ["Case", "RecommenderContract"]


@dataclass(frozen=True)
class Case:
    """A recommender and what is known about it.

    Attributes:
        make: makes an unfitted recommender that learns the world.
        world: a world with string ids.
        knows_order: whether it predicts the next item of the ring.
        by_content: whether it recommends items of the cluster of the history.
        adds_items: whether items can be added.
        quick: settings under which `fit` takes no time, for tests of ids and files.
        has_vectors: whether `similar_items` works.
    """

    make: Callable[..., Any]
    world: SmallWorld
    knows_order: bool = True
    by_content: bool = False
    adds_items: bool = True
    quick: tuple[tuple[str, Any], ...] = ()
    has_vectors: bool = False

    def fit_quickly(self, world: SmallWorld, **changes: Any) -> Any:
        """Fit on another world, or with other settings, for as short as possible."""
        return world.fit(self.make(**(dict(self.quick) | changes)), validation=None)


def same(a, b):
    """Two results hold the same ids, and the same scores up to rounding."""
    assert a[0].tolist() == b[0].tolist()
    np.testing.assert_allclose(a[1], b[1], rtol=1e-4, atol=1e-5)


def names_below(directory):
    """Paths of all files of a directory, relative to it."""
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


class RecommenderContract:
    """Tests of the interface of all recommenders."""

    def histories(self, case, length=3):
        return [case.world.walk(start, length) for start in range(ITEMS)]

    # --- the answer

    def test_the_next_item_of_the_ring_comes_first(self, case, fitted):
        histories = self.histories(case)
        ids, _ = fitted.recommend(histories, k=1)
        if case.by_content:
            cluster = dict(zip(case.world.ids, case.world.sids.tokens[:, 0].tolist(), strict=True))
            inside = [history for history in histories if len({cluster[item] for item in history}) == 1]
            assert all(cluster[ids[histories.index(each), 0]] == cluster[each[0]] for each in inside)
            return
        if not case.knows_order:
            counts = np.bincount(case.world.split.train.values, minlength=ITEMS)
            popular = [case.world.ids[row] for row in np.argsort(-counts, kind="stable")]
            assert ids[:, 0].tolist() == [next(i for i in popular if i not in seen) for seen in histories]
            return
        right = [
            found == case.world.after(history[-1])
            for found, history in zip(ids[:, 0], histories, strict=True)
        ]
        assert np.mean(right) >= 0.95

    def test_results_have_ids_and_falling_scores(self, case, fitted):
        ids, scores = fitted.recommend(self.histories(case), k=7)
        assert ids.shape == scores.shape == (ITEMS, 7)
        assert ids.dtype == object and scores.dtype == np.float32
        assert all(len(set(row)) == 7 and set(row) <= set(case.world.ids) for row in ids.tolist())
        assert (np.diff(scores, axis=1) <= 0).all()

    def test_a_batch_equals_its_histories_one_by_one(self, case, fitted):
        histories = [
            case.world.walk(0, 3),
            case.world.walk(7, 1),
            [],
            case.world.walk(2, 9),
            case.world.walk(5, 3),
        ]
        ids, scores = fitted.recommend(histories, k=5)
        for row, history in enumerate(histories):
            alone = fitted.recommend(history, k=5)
            assert alone[0].shape == (5,)
            same(alone, (ids[row], scores[row]))

    def test_an_empty_batch_has_no_rows(self, fitted):
        ids, scores = fitted.recommend(pl.Series([], dtype=pl.List(pl.String)), k=3)
        assert ids.shape == scores.shape == (0, 3)

    # --- filters

    def test_seen_items_are_excluded_unless_asked_for(self, case, fitted):
        histories = self.histories(case, 5)
        ids, _ = fitted.recommend(histories, k=ITEMS)
        for row, history in zip(ids.tolist(), histories, strict=True):
            assert set(row[: ITEMS - 5]) == set(case.world.ids) - set(history)
            assert row[ITEMS - 5 :] == [None] * 5
        every, _ = fitted.recommend(histories, k=ITEMS, exclude_seen=False)
        assert all(set(row) == set(case.world.ids) for row in every.tolist())

    def test_excluded_items_are_replaced_by_the_next_best(self, case, fitted):
        histories = self.histories(case)
        best, scores = fitted.recommend(histories, k=ITEMS - 3)
        for_all = [case.world.ids[4], case.world.ids[9]]
        ids, found = fitted.recommend(histories, k=8, exclude=for_all)
        each = [row[:2] for row in best.tolist()]
        own, own_scores = fitted.recommend(histories, k=8, exclude=each)
        for row in range(ITEMS):
            kept = [place for place, item in enumerate(best[row]) if item not in for_all][:8]
            same((ids[row], found[row]), (best[row, kept], scores[row, kept]))
            same((own[row], own_scores[row]), (best[row, 2:10], scores[row, 2:10]))

    def test_only_allowed_items_are_recommended(self, case, fitted):
        histories = self.histories(case)
        best, scores = fitted.recommend(histories, k=ITEMS, exclude_seen=False)
        for_all = case.world.ids[3:15]
        ids, found = fitted.recommend(histories, k=12, exclude_seen=False, allow=for_all)
        each = [row[1::2] for row in best.tolist()]
        own, own_scores = fitted.recommend(histories, k=12, exclude_seen=False, allow=each)
        for row in range(ITEMS):
            kept = [place for place, item in enumerate(best[row]) if item in for_all]
            same((ids[row], found[row]), (best[row, kept], scores[row, kept]))
            same((own[row], own_scores[row]), (best[row, 1::2], scores[row, 1::2]))

    def test_filters_compose_and_lists_stay_full(self, case, fitted):
        history = case.world.walk(0, 4)
        allow, exclude = case.world.ids[2:14], [case.world.ids[6], case.world.ids[20]]
        left = set(allow) - set(exclude) - set(history)
        ids, scores = fitted.recommend(history, k=ITEMS, exclude=exclude, allow=allow)
        assert set(ids[: len(left)]) == left
        assert set(ids[len(left) :]) == {None}
        assert np.isneginf(scores[len(left) :]).all()
        ids, scores = fitted.recommend(history, k=len(left) - 1, exclude=exclude, allow=allow)
        assert set(ids) < left and np.isfinite(scores).all()
        ids, _ = fitted.recommend([history] * 2, k=ITEMS, exclude=[exclude, []], allow=[allow, allow[:8]])
        assert set(ids[0]) - {None} == left
        assert set(ids[1]) - {None} == set(allow[:8]) - set(history)
        ids, _ = fitted.recommend([history] * 2, k=ITEMS, exclude=exclude, allow=[allow, allow[:8]])
        assert set(ids[1]) - {None} == set(allow[:8]) - set(history) - set(exclude)

    def test_item_sets_are_filters_too(self, case, fitted):
        trie, history = case.world.sids.trie, case.world.walk(0, 3)
        one, other = trie.item_set(np.arange(5, 12)), trie.item_set(np.arange(9, 20))
        assert isinstance(one, ItemSet)
        expected = fitted.recommend(history, k=9, allow=case.world.ids[5:12])
        same(fitted.recommend(history, k=9, allow=one), expected)
        ids, _ = fitted.recommend([history] * 2, k=ITEMS, allow=[one, other])
        assert set(ids[0]) - {None} == set(case.world.ids[5:12])
        assert set(ids[1]) - {None} == set(case.world.ids[9:20])

    def test_filters_that_leave_nothing_give_empty_lists(self, case, fitted):
        history = case.world.walk(0, 2)
        for filters in ({"allow": []}, {"exclude": case.world.ids}, {"allow": history}):
            ids, scores = fitted.recommend(history, k=3, **filters)
            assert ids.tolist() == [None] * 3 and np.isneginf(scores).all()

    def test_unknown_items_in_filters_are_skipped_with_a_warning(self, case, fitted):
        history = case.world.walk(0, 3)
        message = r"1 of 1 items of `exclude` are not in the catalogue .* first of them 'gone'"
        with pytest.warns(UserWarning, match=message) as caught:
            found = fitted.recommend(history, k=4, exclude=["gone"])
        assert [each.filename for each in caught] == [__file__]
        same(found, fitted.recommend(history, k=4))
        with pytest.warns(UserWarning, match="1 of 2 items of `allow`"):
            ids, _ = fitted.recommend(history, k=2, allow=["gone", case.world.ids[7]])
        assert ids.tolist() == [case.world.ids[7], None]

    @pytest.mark.parametrize("series", [False, True])
    def test_a_missing_list_of_allowed_items_is_refused(self, case, fitted, series):
        histories, allow = self.histories(case)[:2], [case.world.ids[:3], None]
        with pytest.raises(DataError, match=r"`allow` has no list for history 1: .* got None\. Pass \[\]"):
            fitted.recommend(histories, allow=pl.Series(allow) if series else allow)
        ids, _ = fitted.recommend(histories, k=4, exclude=[case.world.ids[3:5], None])
        assert ids[1].tolist() == fitted.recommend(histories[1], k=4)[0].tolist()

    def test_conditions_on_the_catalogue_are_filters(self, case, fitted):
        catalogue, history = case.world.dataset.catalogue(), case.world.walk(0, 3)
        chosen = catalogue.where(pl.col("item_id").is_in(case.world.ids[2:14]))
        expected = fitted.recommend(history, k=9, allow=case.world.ids[2:14])
        same(fitted.recommend(history, k=9, allow=chosen), expected)
        same(fitted.recommend(history, k=9, exclude=~chosen), expected)
        # Sets of tables in another order, or with other items, are translated by id.
        other = Catalogue(catalogue.items[::-1].vstack(catalogue.items[:1].with_columns(item_id=pl.lit("z"))))
        chosen = other.where(pl.col("item_id").is_in(case.world.ids[2:14]))
        same(fitted.recommend(history, k=9, allow=chosen), expected)
        with pytest.warns(UserWarning, match="1 of 13 items of a set of `allow` .* first of them 'z'"):
            found = fitted.recommend(history, k=9, allow=chosen | other.where("item_id = 'z'"))
        same(found, expected)

    def test_item_sets_of_another_catalogue_are_refused(self, case, fitted):
        history = case.world.walk(0, 3)
        foreign = Catalogue({"item_id": ["x", "y"]})
        with pytest.raises(DataError, match=r"`allow` is of another catalogue: .* ids such as 'x'"):
            fitted.recommend(history, allow=foreign.where("item_id = 'x'"))
        trie = Trie.build(np.arange(5, dtype=np.uint64), SidLayout([8]))
        for name in ("allow", "exclude"):
            with pytest.raises(DataError, match=r"another catalogue: expected one of 24 items, got 5"):
                fitted.recommend(history, **{name: trie.item_set(np.arange(3))})

    @pytest.mark.parametrize("name", ["exclude", "allow"])
    def test_filters_have_one_list_per_history(self, case, fitted, name):
        histories = self.histories(case)[:3]
        with pytest.raises(DataError, match=r"2 lists: expected one list of ids for all histories, or one"):
            fitted.recommend(histories, **{name: [[case.world.ids[0]]] * 2})
        with pytest.raises(DataError, match="2 lists"):
            fitted.recommend(histories, allow=[case.world.sids.trie.item_set(np.arange(3))] * 2)

    def test_re_rankers_choose_among_the_candidates(self, case, fitted):
        history = case.world.walk(3, 2)
        plain, _ = fitted.recommend(history, k=8)
        lowered = Boost([-1e6 if each in plain[:2] else 0.0 for each in case.world.ids])
        ids, scores = fitted.recommend(history, k=3, rerank=lowered, candidates=8)
        assert ids.tolist() == plain[2:5].tolist() and (np.diff(scores) <= 0).all()
        ids, _ = fitted.recommend([history], k=3, rerank=[lowered], candidates=2)
        assert ids[0].tolist() == [*plain[2:3], *plain[:2]]  # candidates are at least k

    def test_more_items_than_exist_are_padded(self, case, fitted):
        ids, scores = fitted.recommend(case.world.walk(0, 1), k=ITEMS + 10, exclude_seen=False)
        assert set(ids[:ITEMS]) == set(case.world.ids)
        assert ids[ITEMS:].tolist() == [None] * 10 and np.isneginf(scores[ITEMS:]).all()

    # --- histories

    def test_unknown_items_are_skipped_with_one_warning(self, case, fitted):
        history = case.world.walk(0, 3)
        expected = fitted.recommend([history, history], k=4)
        with pytest.warns(UserWarning, match=r"3 of 9 items .* first of them 'new'") as caught:
            found = fitted.recommend([["new", *history, "newer"], [*history, "new"]], k=4)
        assert len(caught) == 1
        same(found, expected)

    def test_a_history_without_known_items_is_answered_by_popularity(self, case, fitted):
        counts = np.bincount(case.world.split.train.values, minlength=ITEMS)
        order = [case.world.ids[row] for row in np.argsort(-counts, kind="stable")]
        assert fitted.recommend([], k=5)[0].tolist() == order[:5]
        with pytest.warns(UserWarning, match="not in the catalogue"):
            ids, scores = fitted.recommend([["new"], case.world.walk(0, 3)], k=5, exclude=order[:1])
        assert ids[0].tolist() == order[1:6]
        assert np.isfinite(scores).all()
        same((ids[1], scores[1]), fitted.recommend(case.world.walk(0, 3), k=5, exclude=order[:1]))

    def test_all_forms_of_histories_agree(self, case, fitted):
        histories = self.histories(case)
        rows = [[case.world.ids.index(item) for item in history] for history in histories]
        expected = fitted.recommend(histories, k=4)
        examples = EvaluationSet(np.arange(ITEMS), Sequences.from_rows(rows), np.zeros(ITEMS, int))
        frame = pl.DataFrame({"history": histories})
        forms = {
            "tuples": tuple(map(tuple, histories)),
            "NumPy": np.array(histories),
            "NumPy objects": np.array(histories, object),
            "rows of arrays": [np.array(history) for history in histories],
            "polars": frame["history"],
            "polars arrays": frame["history"].cast(pl.Array(pl.String, 3)),
            "Arrow": pa.array(histories),
            "chunked Arrow": pa.chunked_array([histories[:5], histories[5:]]),
            "rows": Sequences.from_rows(rows),
            "examples": examples,
            "generator": (history for history in histories),
        }
        for name, form in forms.items():
            ids, scores = fitted.recommend(form, k=4)
            assert ids.tolist() == expected[0].tolist(), name
            np.testing.assert_allclose(scores, expected[1], rtol=1e-4, atol=1e-5)
        split = case.world.split.test
        same(fitted.recommend(split, k=3), fitted.recommend(split.histories, k=3))
        one = fitted.recommend(histories[2], k=4)
        for form in (
            tuple(histories[2]),
            np.array(histories[2]),
            pl.Series(histories[2]),
            pa.array(histories[2]),
        ):
            same(fitted.recommend(form, k=4), one)

    def test_histories_of_another_order_of_items_are_mapped_by_id(self, case, fitted):
        from sidkit.data import Histories

        histories = self.histories(case)
        other = Histories.from_ids(histories, pl.Series(case.world.ids[::-1]))
        same(fitted.recommend(other, k=4), fitted.recommend(histories, k=4))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ("item-01", "expected a list of ids"),
            (7, "expected a list of ids"),
            ([["item-01"], "item-02"], "mix ids and lists"),
            ([1.5], "expected integers or strings, got 1.5"),
            ([None, "item-01"], "expected integers or strings, got None"),
            ([3, 4], "expected strings as in the catalogue"),
            (["item-01", 4], "mixed types"),
            (pl.DataFrame({"history": [["item-01"]]}), "Pass its column of lists"),
            (pa.table({"history": [["item-01"]]}), "Pass its column of lists"),
            (pd.DataFrame({"history": [["item-01"]]}), "Pass its column of lists"),
        ],
    )
    def test_other_forms_are_refused(self, fitted, wrong, message):
        with pytest.raises(DataError, match=message):
            fitted.recommend(wrong)

    @pytest.mark.parametrize("k", [0, -1, 2.0, "5", None, True, 2**31 - 1])
    def test_k_is_an_integer_in_its_bounds(self, case, fitted, k):
        with pytest.raises(ConfigError, match=f"`k` is invalid: expected an integer .*1.*, got {k!r}"):
            fitted.recommend(case.world.walk(0, 2), k=k)

    def test_a_table_is_no_filter(self, case, fitted):
        for table in (pd.DataFrame({"item_id": ["item-01"]}), pl.DataFrame({"item_id": ["item-01"]})):
            with pytest.raises(DataError, match="got a table"):
                fitted.recommend(case.world.walk(0, 2), exclude=table)

    def test_integer_ids_come_back_as_integers(self, case):
        from tests.worlds import small_world

        world = small_world(integers=True)
        fitted = case.fit_quickly(world)
        ids, _ = fitted.recommend([[100, 101], [105]], k=ITEMS)
        assert ids.dtype == np.int64
        assert set(ids[0, :22]) == set(range(102, 124)) and ids[0, 22:].tolist() == [-1, -1]
        same(fitted.recommend(["100", "101"], k=5), fitted.recommend(np.array([100, 101], np.int32), k=5))
        same(fitted.recommend(pl.Series([[100, 101]]), k=5), fitted.recommend(np.array([[100, 101]]), k=5))

    # --- fit

    def test_fit_takes_lists_of_ids(self, case):
        world = case.world
        lists = [world.split.train.ids(row) for row in range(len(world.split.train))]
        expected = case.fit_quickly(world).recommend(world.walk(0, 3), k=4)
        for form in (lists, pl.Series(lists), pa.array(lists)):
            recommender = case.make(**dict(case.quick))
            recommender.fit(form, sids=world.sids, item_vectors=world.vectors)
            same(recommender.recommend(world.walk(0, 3), k=4), expected)

    def test_fit_returns_the_recommender_and_forgets_what_was_learned_before(self, case):
        recommender = case.make(**dict(case.quick))
        assert case.world.fit(recommender, validation=None) is recommender
        first = recommender.recommend(case.world.walk(0, 3), k=4)
        case.world.fit(recommender, validation=None)
        same(recommender.recommend(case.world.walk(0, 3), k=4), first)
        assert recommender.item_ids_.to_list() == case.world.ids
        assert recommender.item_counts_.sum() == len(case.world.split.train.values)
        assert (recommender.sids_ is not None) == recommender.uses_sids

    def test_fit_says_what_is_missing_or_does_not_fit(self, case):
        from tests.worlds import small_world

        recommender, world = case.make(**dict(case.quick)), case.world
        if recommender.uses_sids:
            with pytest.raises(ConfigError, match=r"expected `sids`, got None"):
                recommender.fit(world.split.train)
            with pytest.raises(DataError, match="different catalogues"):
                recommender.fit(world.split.train, sids=small_world(integers=True).sids)
        if recommender.uses_item_vectors:
            for vectors, message in (
                (world.vectors[1:], r"one row for each of the 24 items, got \(23, 16\)"),
                (np.where(np.arange(24)[:, None] == 3, np.nan, world.vectors), "row 3 holds NaN"),
            ):
                with pytest.raises(DataError, match=message):
                    recommender.fit(world.split.train, sids=world.sids, item_vectors=vectors)
        for wrong in (world.split.test, "item-01", ["item-01", "item-02"]):
            with pytest.raises(DataError):
                recommender.fit(wrong, sids=world.sids if recommender.uses_sids else None)
        with pytest.raises(DataError, match="another catalogue"):
            world.fit(recommender, validation=small_world(integers=True).split.validation)

    def test_settings_out_of_range_are_refused_at_fit_as_in_a_configuration(self, case):
        from sidkit._settings import settings_model

        recommender = case.make(**dict(case.quick))
        numbers = [
            name
            for name, value in recommender.get_params().items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        for name in numbers:
            wrong = case.make(**(dict(case.quick) | {name: -200}))
            with pytest.raises(ConfigError, match=f"`{name}`: input should be .*, it is -200"):
                case.world.fit(wrong, validation=None)
            with pytest.raises(ValueError, match=name):
                settings_model(type(wrong)).model_validate({name: -200})

    @pytest.mark.parametrize(
        ("callbacks", "message"),
        [
            ([dict], r"a callback is a class: expected an object, got the class dict\. Write dict\(\.\.\.\)"),
            (print, "`callbacks` is invalid: expected an iterable, got <built-in function print>"),
        ],
    )
    def test_callbacks_are_a_list_of_objects(self, case, callbacks, message):
        with pytest.raises((ConfigError, DataError), match=message):
            case.world.fit(case.make(**dict(case.quick)), validation=None, callbacks=callbacks)

    def test_before_fit_nothing_works(self, case, tmp_path):
        recommender = case.make()
        for call in (
            lambda: recommender.recommend([]),
            lambda: recommender.similar_items([]),
            lambda: recommender.evaluate(case.world.split.test),
            lambda: recommender.save(tmp_path),
        ):
            with pytest.raises(NotFittedError, match="is not fitted"):
                call()

    # --- settings and files

    def test_settings_are_parameters(self, case):
        recommender = case.make()
        settings = recommender.get_params()
        assert type(recommender)(**settings).get_params() == settings
        assert json.loads(json.dumps(settings)) == settings
        assert clone(recommender).get_params() == settings
        assert all(f"{name}=" in repr(recommender) or name not in dict(case.quick) for name in case.quick)
        with pytest.raises(ConfigError, match="unknown parameter"):
            recommender.set_params(no_such_parameter=1)
        if settings:
            (name, value), *_ = settings.items()
            assert getattr(recommender.set_params(**{name: value}), name) == value

    def test_a_clone_is_not_fitted(self, case, fitted):
        copy = clone(fitted)
        assert copy.get_params() == fitted.get_params()
        with pytest.raises(NotFittedError):
            copy.recommend([])

    def test_saved_and_loaded_it_recommends_the_same(self, case, fitted, tmp_path):
        histories = self.histories(case)
        fitted.save(tmp_path / "model")
        for loaded in (load_model(tmp_path / "model"), type(fitted).load(tmp_path / "model")):
            assert type(loaded) is type(fitted)
            assert loaded.get_params() == fitted.get_params()
            for scoring in fitted.scorings:
                expected = fitted.recommend(histories, k=6, scoring=scoring)
                found = loaded.recommend(histories, k=6, scoring=scoring)
                assert found[0].tolist() == expected[0].tolist()
                assert np.array_equal(found[1], expected[1])
            same(loaded.recommend([], k=6), fitted.recommend([], k=6))

    def test_pickled_it_recommends_the_same(self, case, fitted):
        histories = self.histories(case)
        fitted.recommend(histories)
        same(pickle.loads(pickle.dumps(fitted)).recommend(histories), fitted.recommend(histories))

    def test_damaged_files_are_refused(self, case, fitted, tmp_path):
        fitted.save(tmp_path)
        files = sorted(names_below(tmp_path))
        assert {"model.json", "items.parquet"} <= set(files)
        for name in files:
            whole = (tmp_path / name).read_bytes()
            for damaged in (None, b"", whole[:-7]):
                (tmp_path / name).unlink() if damaged is None else (tmp_path / name).write_bytes(damaged)
                if name == "history.json" and damaged is None:
                    load_model(tmp_path)  # recommendations do not need it
                else:
                    with pytest.raises(FormatError):
                        load_model(tmp_path)
                (tmp_path / name).write_bytes(whole)

    def test_a_changed_byte_is_noticed(self, case, fitted, tmp_path):
        fitted.save(tmp_path)
        for name in names_below(tmp_path) - {"model.json"}:
            file = tmp_path / name
            whole = file.read_bytes()
            file.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
            with pytest.raises(FormatError, match=f"expected `{name}` with the SHA-256 of `model.json`"):
                load_model(tmp_path)
            file.write_bytes(whole)

    def test_saving_replaces_the_files_of_the_former_model(self, case, fitted, tmp_path):
        from sidkit import Popularity

        fitted.save(tmp_path / "new")
        for name in ("model.json", "items.parquet", "notes.txt"):
            (tmp_path / "old").mkdir(exist_ok=True)
            (tmp_path / "old" / name).write_text("{}")
        fitted.save(tmp_path / "old")
        assert names_below(tmp_path / "old") == names_below(tmp_path / "new") | {"notes.txt"}
        case.world.fit(Popularity()).save(tmp_path / "old")
        assert {path.name for path in (tmp_path / "old").iterdir()} == {
            *("model.json", "model.safetensors", "items.parquet", "notes.txt")
        }
        assert names_below(tmp_path / "old") == {path.name for path in (tmp_path / "old").iterdir()}
        fitted.save(tmp_path / "old")
        same(load_model(tmp_path / "old").recommend([]), fitted.recommend([]))
        with pytest.raises(NotADirectoryError, match="is a file: expected a directory"):
            fitted.save(tmp_path / "old" / "notes.txt")

    def test_files_of_different_recommenders_do_not_mix(self, case, fitted, tmp_path):
        from tests.worlds import small_world

        fitted.save(tmp_path / "a")
        case.fit_quickly(small_world(integers=True)).save(tmp_path / "b")
        (tmp_path / "a" / "items.parquet").write_bytes((tmp_path / "b" / "items.parquet").read_bytes())
        with pytest.raises(FormatError, match="do not belong together"):
            load_model(tmp_path / "a")

    def test_descriptions_of_something_else_are_refused(self, case, fitted, tmp_path):
        fitted.save(tmp_path)
        described = json.loads((tmp_path / "model.json").read_text())
        for change, message in (
            ({"method": "other"}, "another recommender"),
            ({"version": 99}, "version 99"),
            ({"settings": {"no_such": 1}}, "of this version"),
            ({"settings": []}, "does not describe a recommender"),
        ):
            changed = {key: value for key, value in (described | change).items() if key != "checksum"}
            changed["checksum"] = checksum_of(changed)
            (tmp_path / "model.json").write_text(json.dumps(changed))
            with pytest.raises(FormatError, match=message):
                type(fitted).load(tmp_path)

    def test_a_changed_description_is_refused(self, fitted, tmp_path):
        fitted.save(tmp_path)
        described = json.loads((tmp_path / "model.json").read_text())
        (tmp_path / "model.json").write_text(json.dumps(described | {"sids": not described["sids"]}))
        with pytest.raises(FormatError, match=r"`.*model\.json` is damaged: expected the checksum"):
            type(fitted).load(tmp_path)

    # --- similar items, scorings, evaluation

    def test_similar_items(self, case, fitted):
        ids = case.world.ids
        if not case.has_vectors:
            with pytest.raises(ConfigError, match="has no item vectors"):
                fitted.similar_items(ids[0])
            return
        found, scores = fitted.similar_items(ids[:3], k=ITEMS)
        assert found.shape == scores.shape == (3, ITEMS)
        assert all(set(row[:-1]) == set(ids) - {item} for row, item in zip(found.tolist(), ids, strict=False))
        assert found[:, -1].tolist() == [None] * 3
        assert (np.abs(scores[:, :-1]) <= 1 + 1e-5).all() and (np.diff(scores, axis=1) <= 0).all()
        one, one_scores = fitted.similar_items(ids[1], k=4)
        same((one, one_scores), (found[1, :4], scores[1, :4]))
        back, back_scores = fitted.similar_items([one[0]], k=ITEMS)
        np.testing.assert_allclose(back_scores[0, back[0].tolist().index(ids[1])], one_scores[0], rtol=1e-4)
        with pytest.raises(DataError, match="'new' is unknown"):
            fitted.similar_items(["new"])
        with pytest.raises(ConfigError, match="`k` is invalid: expected an integer >= 1, got 0"):
            fitted.similar_items(ids[0], k=0)

    def test_scorings_are_an_argument(self, case, fitted):
        histories = self.histories(case)
        first = fitted.scorings[0]
        same(fitted.recommend(histories, k=5), fitted.recommend(histories, k=5, scoring=first))
        for scoring in fitted.scorings:
            ids, scores = fitted.recommend(histories, k=5, scoring=scoring, exclude=case.world.ids[:3])
            assert not set(ids.ravel()) & set(case.world.ids[:3])
            assert np.isfinite(scores).all()
            if case.knows_order:
                right = [case.world.after(history[-1]) for history in histories[3:20]]
                assert np.mean(ids[3:20, 0] == right) > 0.9
        with pytest.raises(ConfigError, match=f"no scoring `best`: expected one of {first}"):
            fitted.recommend(histories, scoring="best")

    def test_evaluation_reports_what_is_served_first(self, case, fitted):
        test = case.world.split.test
        evaluation = fitted.evaluate(test, ks=(1, 5))
        ids, _ = fitted.recommend(test, k=5)
        targets = [case.world.ids[row] for row in test.targets]
        hits = [target in row[:5] for row, target in zip(ids.tolist(), targets, strict=True)]
        assert evaluation["recall@5"] == pytest.approx(np.mean(hits))
        assert evaluation["recall@1"] == pytest.approx(np.mean(ids[:, 0] == targets))
        low, high = evaluation.result("recall@5").ci95
        assert low <= evaluation["recall@5"] <= high
        assert evaluation.protocol.exclude_seen == (True, False)
        assert (evaluation.protocol.split, evaluation.protocol.evaluated_on) == ("leave_last_out", "test")
        assert evaluation.protocol.candidates == ITEMS and evaluation.protocol.users == len(test)
        assert (evaluation.protocol.beam is not None) == (fitted.scorings[0] == "sid")
        with_seen, _ = fitted.recommend(test, k=5, exclude_seen=False)
        seen = fitted.evaluate(test, ks=(5,), exclude_seen=False)
        hits = [target in row for row, target in zip(with_seen.tolist(), targets, strict=True)]
        assert seen["recall@5"] == pytest.approx(np.mean(hits))
        assert seen["recall@5"] == evaluation.result("recall@5", exclude_seen=False).value
        assert "Recall@5" in repr(evaluation) and "seen items excluded" in repr(evaluation)

    def test_evaluation_refuses_what_does_not_fit(self, case, fitted):
        from tests.worlds import small_world

        with pytest.raises(
            DataError, match="`examples` is invalid: expected an EvaluationSet, got Histories"
        ):
            fitted.evaluate(case.world.split.train)
        with pytest.raises(DataError, match="another catalogue"):
            fitted.evaluate(small_world(integers=True).split.test)
        with pytest.raises(ConfigError, match="`ks` is empty"):
            fitted.evaluate(case.world.split.test, ks=())
