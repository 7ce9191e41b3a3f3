import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidkit import SidLayout
from sidkit.errors import ConfigError, FormatError, NotFittedError
from sidkit.ranking import Pieces

LAYOUT = SidLayout([4, 4, 4])


def catalogue():
    """Half of the items are alike; the others are all different."""
    random = np.random.default_rng(0)
    return np.concatenate([np.tile([1, 2, 3], (50, 1)), random.integers(0, 4, (50, 3))]).astype(np.uint16)


def test_pieces_put_together_are_the_semantic_id():
    codes = catalogue()
    pieces = Pieces(LAYOUT, 30).fit(codes)
    values, offsets = pieces.encode(codes)
    runs = pieces.runs()
    assert len(runs) <= 30 and values.max() < 30
    for item, tokens in enumerate(codes):
        cut = [runs[piece] for piece in values[offsets[item] : offsets[item + 1]]]
        assert [token for _, run in cut for token in run] == tokens.tolist()
        # Each piece begins at the level where the one before it ended.
        assert [level for level, _ in cut] == np.cumsum([0, *(len(run) for _, run in cut)])[:-1].tolist()


def test_a_frequent_semantic_id_becomes_one_piece():
    codes = catalogue()
    pieces = Pieces(LAYOUT, 16).fit(codes)
    values, offsets = pieces.encode(codes[:1])
    assert offsets.tolist() == [0, 1]
    assert pieces.runs()[values[0]] == (0, (1, 2, 3))


def test_without_room_every_token_is_a_piece_of_its_own():
    codes = catalogue()
    values, offsets = Pieces(LAYOUT, 12).fit(codes).encode(codes)
    np.testing.assert_array_equal(np.diff(offsets), 3)
    assert len({tuple(row) for row in values.reshape(-1, 3)}) == len(np.unique(codes, axis=0))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6).flatmap(
        lambda sizes: st.tuples(
            st.just(sizes),
            st.lists(st.tuples(*(st.integers(0, size - 1) for size in sizes)), min_size=1, max_size=60),
            st.integers(0, 60),
        )
    )
)
def test_the_core_cuts_as_the_library_that_learned_the_pieces(world):
    sizes, rows, more = world
    codes = np.array(rows, np.uint16)
    pieces = Pieces(SidLayout(sizes), sum(sizes) + more).fit(codes[::2].copy())
    values, offsets = pieces.encode(codes)
    expected = [each.ids for each in pieces._tokenizer.encode_batch(list(pieces._texts(codes)))]
    assert [part.tolist() for part in np.split(values, offsets[1:-1])] == expected


def test_pieces_come_back_from_json():
    codes = catalogue()
    pieces = Pieces(LAYOUT, 30).fit(codes)
    again = Pieces.from_json(pieces.to_json())
    for one, other in zip(pieces.encode(codes), again.encode(codes), strict=True):
        np.testing.assert_array_equal(one, other)
    for wrong in ("", "{}", '{"sizes": [4], "pieces": 4, "tokenizer": {"model": 1}}'):
        with pytest.raises(FormatError, match=r"not the JSON of `Pieces.to_json`"):
            Pieces.from_json(wrong)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"at least 12 pieces.* got 11"):
        Pieces(LAYOUT, 11)
    with pytest.raises(ConfigError, match="too many base symbols: expected at most 131,070, got 196,608"):
        Pieces(SidLayout([65536] * 3), 300_000)
    with pytest.raises(NotFittedError, match="Call `fit`"):
        Pieces(LAYOUT, 12).encode(catalogue())
    message = "the code of row 0 at level 1 is out of range: expected 0..3, got 4"
    with pytest.raises(ValueError, match=message):
        Pieces(LAYOUT, 12).fit(np.array([[0, 4, 0]], np.uint16))
