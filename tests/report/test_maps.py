import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidkit.report.html.maps import fullest_codes, item_map, principal_plane, squarified, treemap


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60))
def test_boxes_have_their_areas_and_fill_the_box(sizes):
    sizes = sorted(sizes, reverse=True)
    boxes = squarified(sizes, (10, 20, 110, 70))
    for size, (x0, y0, x1, y1) in zip(sizes, boxes, strict=True):
        assert (x1 - x0) * (y1 - y0) == pytest.approx(5000 * size / sum(sizes), rel=1e-6)
        assert 10 - 1e-6 <= x0 <= x1 <= 110 + 1e-6 and 20 - 1e-6 <= y0 <= y1 <= 70 + 1e-6
    corners = [(x0 + x1) / 2 for x0, _, x1, _ in boxes], [(y0 + y1) / 2 for _, y0, _, y1 in boxes]
    for place, (x, y) in enumerate(zip(*corners, strict=True)):  # no box's middle lies in another
        inside = [x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in boxes]
        assert [other for other, within in enumerate(inside) if within] in ([place], [])


def test_the_plane_shows_the_two_widest_directions():
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 5)) * [1, 20, 0.1, 5, 0.1]
    places, shown = principal_plane(x)
    assert abs(np.corrcoef(places[:, 0], x[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(places[:, 1], x[:, 3])[0, 1]) > 0.99
    assert shown == pytest.approx((x[:, 1].var() + x[:, 3].var()) / x.var(axis=0).sum(), abs=0.01)
    assert principal_plane(np.ones((3, 1))) == (pytest.approx(np.zeros((3, 2))), 0.0)


def test_drawings_describe_their_numbers():
    codes = np.array([[0, 0], [0, 1], [0, 1], [2, 0]])
    assert fullest_codes(codes[:, 0]) == [0, 2]
    picture = treemap(codes)
    assert (
        "0: 3 items under 2 second codes" in picture and "Treemap of 4 items: 2 first codes in use" in picture
    )
    drawn = item_map(np.zeros((4, 2)), codes[:, 0], "map", {0: "soap <b>"})
    assert "soap &lt;b&gt;" in drawn and drawn.count("h0") == 8  # wide and narrow
