import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.report.charts import Board, Scale
from sidkit.report.html.plots import (
    Estimate,
    Series,
    bars,
    code_use,
    curves,
    doubling_bins,
    histogram,
    intervals,
)
from sidkit.report.numbers import number, short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (0, "0"),
        (9999, "9999"),
        (12101, "12.1k"),
        (3_500_000, "3.5M"),
        (2e9, "2G"),
        (0.1 + 0.2, "0.3"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text


def test_metrics_have_four_decimals():
    assert number(0.03456) == "0.0346"


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_inside(low, span, target):
    scale = Scale(low, low + span, 0, 100)
    ticks = scale.ticks(target)
    assert len(ticks) <= target + 1
    for value in ticks:
        assert low - 1e-6 * span <= value <= low + span * (1 + 1e-6)
    steps = np.diff(ticks)
    if len(steps):
        assert np.allclose(steps, steps[0], rtol=1e-6)


def test_a_logarithmic_scale():
    scale = Scale(1, 1000, 0, 300, log=True)
    assert [scale(value) for value in (1, 10, 1000)] == pytest.approx([0, 100, 300])
    assert scale.ticks() == [1, 10, 100, 1000]


def test_an_axis_of_one_value():
    assert Scale(2, 2, 0, 100)(2) == 50


def coordinates(svg):
    return [
        float(value)
        for attribute in re.findall(r' (?:points|x|y|cx|cy|width|height)="([^"]*)"', svg)
        for value in re.split("[ ,]", attribute)
    ]


@pytest.mark.parametrize(
    "svg",
    [
        intervals([Estimate("a", "s0", 0.0, 0.0, 0.0)], "nothing"),
        intervals([Estimate("a", "s0", 0.05, 0.04, 0.06), Estimate("b", "quiet", 0.01, 0.0, 0.02)], "two"),
        curves([Series("a", "s0", [(0, 1.0)])], "one point", "epochs"),
        curves(
            [Series("a", "s0", [(0, 1.0), (5, 1.0)]), Series("b", "s1", [(0, 1.0), (5, 1.0)])], "flat", "x"
        ),
        curves([Series("a", "s0", [(0, 0.0), (9, 0.0)])], "zero", "x", from_zero=True),
        code_use(np.zeros(4, np.int64), 0),
        code_use(np.array([5, 0, 1]), 7),
        histogram([("1", 0)], "empty", "x"),
        bars({"a": 0.0}, "no time"),
    ],
)
def test_plots_of_odd_numbers_stay_on_the_board(svg):
    assert svg.startswith("<svg") and svg.endswith("</svg>")
    places = coordinates(svg)
    assert places and all(-1 <= place <= 1000 for place in places)
    assert "nan" not in svg and "inf" not in svg


def test_descriptions_for_screen_readers():
    assert 'aria-label="NDCG with 95 % intervals: a 0.0500 (0.0400 to 0.0600)"' in intervals(
        [Estimate("a", "s0", 0.05, 0.04, 0.06)], "NDCG"
    )
    assert "2 of 3 codes in use, the most frequent has 5 items" in code_use(np.array([5, 0, 1]), 7)


def test_the_longest_bar_is_the_highest_count():
    svg = histogram([("1", 10), ("2", 5)], "t", "x")
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" rx', svg)]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.01)


@pytest.mark.parametrize("last", [1.0, 0.0])
def test_names_of_lines_do_not_overlap_and_are_outside_of_the_plot(last):
    lines = [Series(name, "s0", [(0, 0.5), (1 + place, last)]) for place, name in enumerate("abcd")]
    svg = curves(lines, "t", "x", from_zero=True)
    names = [(float(x), float(y)) for x, y in re.findall(r'x="([\d.]+)" y="([\d.]+)" class="name ink', svg)]
    assert len(names) == 4 and min(np.diff(sorted(y for _, y in names))) >= 14
    drawn = [
        float(place.split(",")[0])
        for line in re.findall(r'points="([^"]*)" class="curve', svg)
        for place in line.split()
    ]
    assert min(x for x, _ in names) > max(drawn) and all(0 < y < 200 for _, y in names)


def test_margins_hold_the_longest_label():
    long = "train.rqtransformer-fused-of-a-run"
    for svg in (bars({long: 1.0, "a": 2.0}, "t"), intervals([Estimate(long, "s0", 0.2, 0.1, 0.3)], "t")):
        (end,) = {float(x) for x in re.findall(r'x="([\d.]+)"[^>]* class="name"', svg)}
        assert end >= 6.5 * len(long)


@given(st.lists(st.integers(0, 5000), min_size=1))
def test_doubling_bins_hold_every_value(values):
    bins = doubling_bins(np.array(values))
    assert sum(count for _, count in bins) == len(values)
    assert bins[0][1] > 0


def test_doubling_bins_by_hand():
    assert doubling_bins(np.array([0, 1, 2, 3, 4, 7, 8])) == [
        ("0", 1),
        ("1", 1),
        ("2–3", 2),
        ("4–7", 2),
        ("8–15", 1),
    ]
    assert doubling_bins(np.array([1, 900]), most=3) == [("1", 1), ("2–3", 0), ("4+", 1)]
    assert doubling_bins(np.array([], dtype=int)) == []


def test_a_board_keeps_its_size():
    assert 'viewBox="0 0 300 100"' in Board(300, 100).svg("an empty plot, but described")


def test_many_bins_are_named_by_where_they_start():
    bins = doubling_bins(np.array([1, 2, 4, 8, 16, 32, 64, 128]))
    ticks = re.findall(r'class="tick"[^>]*>([^<]*)<', histogram(bins, "t", "events"))
    assert ticks == ["1", "2", "4", "8", "16", "32", "64", "128"]
    assert "events, from" in histogram(bins, "t", "events")
    assert "events, from" not in histogram(bins[:7], "t", "events")
