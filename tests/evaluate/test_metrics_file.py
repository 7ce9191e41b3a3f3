import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.errors import ConfigError, FormatError
from sidkit.evaluate import Metrics, Protocol, Result, machine_facts, version_facts

PROTOCOL = Protocol(
    candidates=12101, users=22363, beam=50, collisions="suffix", dataset="beauty", seeds=(0, 1)
)


def metrics(model="tiger", protocol=PROTOCOL, value=0.25):
    return Metrics(
        protocol,
        [
            Result(model, "all", "ndcg@10", value, (0.2, 0.3)),
            Result(model, "all", "coverage@10", 0.5, None),
            Result(model, "history 20+", "ndcg@10", 0.4, (0.3, 0.5)),
        ],
        tokenizer={"unique_rate": 0.85, "perplexity": [200.0, 114.0], "mse": [0.56, 0.46]},
        seconds={"embed": 1.5},
        machine={"cpu": "a processor", "cores": 2},
        versions={"sidkit": "0.1.0"},
        slices={"all": 22363, "history 20+": 1200},
        training={model: {"tokens_per_second": 900.5, "flops": 10**15, "gemm_share": 0.25}},
    )


def test_the_shape_of_the_file(tmp_path):
    path = tmp_path / "metrics.json"
    metrics().save(path)
    contents = json.loads(path.read_text())
    assert list(contents) == [
        "protocol",
        "tokenizer",
        "seconds",
        "cpu_seconds",
        "machine",
        "versions",
        "slices",
        "diagnostics",
        "training",
        "results",
    ]
    assert contents["protocol"] == {
        "split": "leave_last_out",
        "ties": "source",
        "tie_seed": 0,
        "exclude_seen": [True],
        "collisions": "suffix",
        "candidates": 12101,
        "beam": 50,
        "seeds": [0, 1],
        "users": 22363,
        "evaluated_on": "test",
        "dataset": "beauty",
        "resamples": 1000,
    }
    assert contents["results"][0] == {
        "model": "tiger",
        "slice": "all",
        "metric": "ndcg@10",
        "exclude_seen": True,
        "value": 0.25,
        "ci95": [0.2, 0.3],
    }
    assert contents["results"][1]["ci95"] is None


def test_processor_seconds_and_throughput_are_optional(tmp_path):
    path = tmp_path / "metrics.json"
    metrics().save(path)
    contents = json.loads(path.read_text())
    del contents["cpu_seconds"], contents["training"]
    path.write_text(json.dumps(contents))
    assert Metrics.load(path) == dataclasses.replace(metrics(), training={})


def test_load_gives_what_was_saved(tmp_path):
    path = tmp_path / "metrics.json"
    metrics().save(path)
    assert Metrics.load(path) == metrics()


def test_find():
    found = metrics().find("tiger", "ndcg@10", "history 20+")
    assert found is not None and found.value == 0.4
    assert metrics().find("tiger", "ndcg@5") is None
    assert metrics().models == ["tiger"]


def test_merging_keeps_both_models_and_the_newer_of_one():
    plain = Protocol(candidates=12101, users=22363, dataset="beauty", seeds=(7,))
    both = metrics().merged(metrics("sasrec", plain)).merged(metrics("tiger", value=0.125))
    assert both.models == ["sasrec", "tiger"]
    assert both.find("tiger", "ndcg@10").value == 0.125
    assert both.protocol.beam == 50 and both.protocol.collisions == "suffix"
    assert both.protocol.seeds == (0, 1, 7)


def test_results_of_different_protocols_are_not_combined():
    shuffled = Protocol(candidates=12101, users=22363, dataset="beauty", ties="shuffle")
    with pytest.raises(ConfigError) as caught:
        metrics().merged(metrics("sasrec", shuffled))
    assert str(caught.value) == (
        "results of different protocols cannot be combined: `ties` is 'source' and 'shuffle'. "
        "Evaluate both with the same setting"
    )


def test_both_settings_of_exclude_seen_are_in_one_file(tmp_path):
    included = [dataclasses.replace(r, value=r.value / 2, exclude_seen=False) for r in metrics().results]
    other = dataclasses.replace(
        metrics(), protocol=dataclasses.replace(PROTOCOL, exclude_seen=False), results=included
    )
    both = other.merged(metrics())
    assert both.protocol.exclude_seen == (True, False) and len(both.results) == 6
    assert both.find("tiger", "ndcg@10").value == 0.25
    assert both.find("tiger", "ndcg@10", exclude_seen=False).value == 0.125
    assert both.under(False) == other and both.under(True) == metrics()
    both.save(tmp_path / "metrics.json")
    assert Metrics.load(tmp_path / "metrics.json") == both
    with pytest.raises(ConfigError, match=r"no results with exclude_seen=False: expected one of \[True\]"):
        metrics().under(False)


def test_nan_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match="a value of the metrics is not valid JSON"):
        metrics(value=float("nan")).save(tmp_path / "metrics.json")
    assert not list(tmp_path.iterdir())


def broken(path, *keys, value):
    metrics().save(path)
    contents = json.loads(path.read_text())
    place = contents
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(contents))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("protocol",), [], "`protocol` must be an object, got list"),
        (("protocol", "beams"), 1, "protocol: unknown keys ['beams'], missing keys []"),
        (("protocol", "users"), "many", "protocol: `users` must be an integer of at least 1, got 'many'"),
        (("protocol", "seeds"), 3, "protocol: `seeds` must be a list, got 3"),
        (("results",), {}, "`results` must be a list, got dict"),
        (("results", 1), "x", "`results[1]` must be an object, got str"),
        (
            ("results", 0, "model"),
            None,
            "results[0] must name its model, slice and metric, got None, 'all', 'ndcg@10'",
        ),
        (("results", 0, "value"), "high", "results[0]: `value` must be a number, got 'high'"),
        (("results", 0, "value"), True, "results[0]: `value` must be a number, got True"),
        (
            ("results", 0, "ci95"),
            [0.3, 0.2],
            "results[0]: `ci95` must be [low, high] or null, got [0.3, 0.2]",
        ),
        (
            ("results", 0, "metric"),
            "coverage@10",
            "`results` must hold every model, slice, metric and `exclude_seen` once",
        ),
        (("results", 0, "exclude_seen"), 1, "results[0]: `exclude_seen` must be true or false, got 1"),
        (
            ("results", 0, "exclude_seen"),
            False,
            "`exclude_seen` of a result must be one of the protocol's [True], got [False, True]",
        ),
        (("seconds", "embed"), "long", "`seconds` must hold a number for every stage"),
        (("versions", "sidkit"), 1, "`versions` must hold a text for every package"),
        (("training", "tiger", "flops"), "many", "`training` of `tiger` must hold numbers"),
        (("training", "tiger"), [1], "`training` of `tiger` must hold numbers"),
        (("slices", "all"), 1.5, "`slices` must hold a number of users for every slice"),
    ],
)
def test_a_file_of_another_shape(tmp_path, keys, value, message):
    path = tmp_path / "metrics.json"
    broken(path, *keys, value=value)
    with pytest.raises(FormatError) as caught:
        Metrics.load(path)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"results": [', "\x00\xff"])
def test_a_file_that_is_no_json(tmp_path, text):
    path = tmp_path / "metrics.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(FormatError, match=r"not a metrics\.json, or a truncated one"):
        Metrics.load(path)


def test_a_number_that_is_infinite(tmp_path):
    path = tmp_path / "metrics.json"
    metrics().save(path)
    path.write_text(path.read_text().replace("0.25", "Infinity"))
    with pytest.raises(FormatError, match=r"results\[0\]: `value` must be a number, got inf"):
        Metrics.load(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"split": "random"},
            "protocol: `split` must be one of leave_last_out, global_time, given, cold_items, got 'random'",
        ),
        ({"ties": None}, "protocol: `ties` must be one of source, shuffle, got None"),
        ({"collisions": "drop"}, "protocol: `collisions` must be one of suffix, reassign, share, got 'drop'"),
        ({"reassign": "best"}, "protocol: `reassign` must be one of first, nearest, sinkhorn, got 'best'"),
        (
            {"collisions": "suffix", "reassign": "nearest"},
            "protocol: `reassign` 'nearest' requires the policy `reassign`, got 'suffix'",
        ),
        (
            {"split": "cold_items", "cold_seed": 0},
            "protocol: `cold_share` must be a number between 0 and 1, got None",
        ),
        (
            {"split": "cold_items", "cold_share": 0.1},
            "protocol: `cold_seed` must be an integer of at least 0, got None",
        ),
        (
            {"cold_share": 0.1, "cold_seed": 0},
            "protocol: `cold_share` and `cold_seed` require the split `cold_items`, got 'leave_last_out'",
        ),
        ({"beam": 0}, "protocol: `beam` must be an integer of at least 1, got 0"),
        ({"seeds": (-1,)}, "protocol: `seeds` must be an integer of at least 0, got -1"),
        ({"exclude_seen": 1}, "protocol: `exclude_seen` must be true, false or a list of both, got 1"),
    ],
)
def test_an_invalid_protocol(changes, message):
    with pytest.raises(ConfigError) as caught:
        Protocol(**({"candidates": 10, "users": 5} | changes))
    assert str(caught.value) == message


@given(
    st.builds(
        Protocol,
        split=st.sampled_from(["leave_last_out", "global_time", "given"]),
        ties=st.sampled_from(["source", "shuffle"]),
        tie_seed=st.integers(0, 9),
        exclude_seen=st.sampled_from([True, False, (True,), (False, True)]),
        collisions=st.sampled_from(["suffix", "reassign", "share", None]),
        candidates=st.integers(1, 10**9),
        beam=st.none() | st.integers(1, 1000),
        seeds=st.lists(st.integers(0, 2**63), max_size=3).map(tuple),
        users=st.integers(1, 10**9),
        evaluated_on=st.sampled_from(["test", "validation"]),
        dataset=st.text(max_size=5),
    )
)
def test_a_protocol_survives_json(protocol):
    assert Protocol.from_dict(json.loads(json.dumps(protocol.as_dict()))) == protocol


def test_the_protocol_as_a_sentence():
    assert PROTOCOL.sentence() == (
        "beauty, test set; leave-last-out split; tied timestamps in source order; seen items excluded; "
        "all 12,101 items are candidates; 22,363 users; collisions by suffix; beam 50; seeds 0, 1; "
        "95 % bootstrap intervals over users, 1,000 samples"
    )
    other = Protocol(
        candidates=5, users=3, ties="shuffle", tie_seed=4, exclude_seen=(True, False), split="global_time"
    )
    assert other.sentence().startswith(
        "test set; global-time split; tied timestamps shuffled with seed 4; "
        "seen items excluded and included; "
    )


def test_the_method_of_reassign_is_named_if_it_is_not_the_first():
    first = Protocol(candidates=5, users=3, collisions="reassign")
    nearest = dataclasses.replace(first, reassign="nearest")
    assert "collisions by reassign; " in first.sentence() and "reassign" not in first.as_dict()
    assert "collisions by reassign (nearest); " in nearest.sentence()
    assert Protocol.from_dict(json.loads(json.dumps(nearest.as_dict()))) == nearest
    without = Protocol(candidates=5, users=3)
    assert without.combined(nearest) == nearest.combined(without) == nearest
    assert without.combined(first) == first.combined(without) == first
    with pytest.raises(ConfigError, match="`reassign` is 'first' and 'nearest'"):
        first.combined(nearest)


def test_held_out_items_are_part_of_the_protocol():
    held_out = Protocol(candidates=5, users=3, split="cold_items", cold_share=0.1, cold_seed=2)
    assert held_out.sentence().startswith(
        "test set; cold-items split; 10% of the items held out from training and histories (draw 2); tied"
    )
    assert Protocol.from_dict(json.loads(json.dumps(held_out.as_dict()))) == held_out
    assert "cold_share" not in PROTOCOL.as_dict()
    with pytest.raises(ConfigError, match="`cold_seed` is 2 and 3"):
        held_out.combined(dataclasses.replace(held_out, cold_seed=3))


def test_facts_of_this_machine_go_into_the_file(tmp_path):
    facts, versions = machine_facts(), version_facts()
    assert facts["cpu"] and facts["cores"] >= 1
    assert {"python", "numpy", "polars"} <= set(versions)
    path = tmp_path / "metrics.json"
    Metrics(PROTOCOL, [], machine=facts, versions=versions).save(path)
    assert Metrics.load(path).machine == facts
