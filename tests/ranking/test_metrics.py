import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from sidkit.errors import DataError
from sidkit.ranking import auc, log_loss, user_auc

events = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.25, 0.5, 0.9])), min_size=1, max_size=30
)


@given(events)
def test_auc_is_the_share_of_pairs_in_order(pairs):
    positives = [score for label, score in pairs if label]
    negatives = [score for label, score in pairs if not label]
    labels, scores = zip(*pairs, strict=True)
    got = auc(labels, scores)
    if not positives or not negatives:
        assert np.isnan(got)
        return
    wins = [(p > n) + (p == n) / 2 for p in positives for n in negatives]
    assert got == pytest.approx(np.mean(wins))
    assert got == pytest.approx(roc_auc_score(labels, scores))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 3)), max_size=30)
)
def test_user_auc_is_the_mean_over_the_events_whose_users_have_one(told):
    each = {}
    for user in {user for _, _, user in told}:
        own = [(label, score) for label, score, whose in told if whose == user]
        each[user] = auc(*zip(*own, strict=True))
    counted = [each[user] for _, _, user in told if not np.isnan(each[user])]
    labels, scores, users = zip(*told, strict=True) if told else ([], [], [])
    got = user_auc(labels, scores, users)
    assert got == pytest.approx(np.mean(counted)) if counted else np.isnan(got)


def test_user_auc_does_not_see_that_one_user_likes_more_than_another():
    labels, scores, users = [1, 1, 0, 0, 0, 1], [0.8, 0.8, 0.7, 0.2, 0.2, 0.1], [0, 0, 0, 1, 1, 1]
    assert auc(labels, scores) > 0.6
    assert user_auc(labels, scores, users) == 0.5


@given(events)
def test_log_loss_is_that_of_scikit_learn(pairs):
    labels, probabilities = zip(*pairs, strict=True)
    assert log_loss(labels, probabilities) == pytest.approx(
        sklearn_log_loss(labels, probabilities, labels=[0, 1])
    )


def test_bad_input_is_refused():
    for labels, scores, message in [
        ([0, 1], [0.5], "does not fit `labels`: expected length 2 of axis 0, got 1"),
        ([0, 2], [0.5, 0.5], "labels must be 0 or 1"),
        ([0, 1], [0.5, np.nan], "scores must be finite"),
        ([0, 1], [0.5, 1.5], "probabilities must be within 0 and 1"),
    ]:
        with pytest.raises(DataError, match=message):
            log_loss(labels, scores)
    with pytest.raises(DataError, match="`users` does not fit `labels`: expected length 2 of axis 0, got 1"):
        user_auc([0, 1], [0.1, 0.2], [1])
