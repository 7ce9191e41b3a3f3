"""Groups of rows of similar length: nothing is lost, and padding is bounded."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from sidkit.models.layers.lengths import length_groups

lengths_of_rows = st.lists(st.integers(0, 60), max_size=40)


@given(lengths_of_rows)
def test_groups_are_consecutive_and_hold_every_row_once(lengths):
    groups = length_groups(torch.tensor(lengths, dtype=torch.int64))
    rows = [row for part, _ in groups for row in range(part.start, part.stop)]
    assert rows == list(range(len(lengths)))
    assert all(part.start < part.stop for part, _ in groups)


@given(lengths_of_rows)
def test_a_group_is_as_wide_as_its_longest_row_and_not_much_wider_than_the_shortest(lengths):
    for rows, width in length_groups(torch.tensor(lengths, dtype=torch.int64)):
        group = lengths[rows]
        assert width == max(1, *group)
        assert width <= 2 * min(group) + 2


@given(lengths_of_rows)
def test_ascending_rows_need_few_groups(lengths):
    groups = length_groups(torch.tensor(sorted(lengths), dtype=torch.int64))
    # The shortest row of a group is more than twice as long as that of the group before.
    assert len(groups) <= 1 + math.log2((max(lengths, default=0) + 3) / 3)


def test_rows_of_a_wave_are_cut_where_the_length_changes():
    found = length_groups(torch.tensor([1, 2, 4, 5, 12, 1, 0]))
    assert found == [(slice(0, 3), 4), (slice(3, 5), 12), (slice(5, 7), 1)]
