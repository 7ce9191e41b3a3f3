"""A moment of each topic of the campaign; see `python -m tests.campaign` for more."""

import pytest
from tests.campaign.topics import names, run

SECONDS = 1.0


@pytest.mark.parametrize("topic", names())
def test_topic(topic):
    counts = run(topic, SECONDS, seed=0)
    assert sum(counts.values()) > 0
    assert not {name: count for name, count in counts.items() if name.startswith("bad_") and count}
