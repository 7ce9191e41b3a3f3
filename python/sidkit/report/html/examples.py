"""Sections with examples: recommendations for some users, and items under some prefixes."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sidkit.evaluate import Predictions
from sidkit.report.collect import RunData
from sidkit.report.html.blocks import section
from sidkit.report.html.identifiers import sid_markup
from sidkit.report.markup import Markup, tag
from sidkit.report.names import baseline_last, model_name
from sidkit.report.remarks import best_result

__all__ = ["prefixes", "users"]

_HISTORY = 6
_SHOWN = 10
_BRANCHES = 4
_TWIGS = 2
_LEAVES = 5


def users(run: RunData) -> list[Markup]:
    """Show the history and the recommendations of four users, two of them with a hit."""
    lists = run.predictions or run.seen_included
    model = _shown_model(run, lists)
    if model is None or run.test is None or run.titles is None:
        return []
    predictions = lists[model]
    matched = np.array_equal(predictions.users, run.test.users) and np.array_equal(
        predictions.targets, run.test.targets
    )
    if not matched or predictions.items.max() >= len(run.titles):
        return []
    seen = "seen items excluded" if predictions.exclude_seen else "seen items included"
    text = (
        f"Lists of {model_name(model)}, {seen}, for four evaluation examples: two with the target among the "
        f"first {_SHOWN} items and two without, evenly spaced over all such examples."
    )
    rows = _chosen(predictions)
    cards = [_card(run, predictions, row, run.test.histories[row]) for row in rows]
    return section("Recommendations", tag("p", text, class_="note"), *cards)


def prefixes(run: RunData) -> list[Markup]:
    """Show items that share their first tokens, for some prefixes."""
    if run.table is None or run.titles is None or not len(run.table) or len(run.titles) != len(run.table):
        return []
    tokens = run.table.tokens
    if tokens.shape[1] < 2:
        return []
    counts = np.bincount(tokens[:, 0], minlength=run.table.sizes[0])
    # Prefixes of medium size are more informative than the largest ones, which hold outliers.
    used = np.flatnonzero(counts >= min(4, int(counts.max())))
    by_size = used[np.argsort(-counts[used], kind="stable")]
    spread = np.unique(np.linspace(len(by_size) // 8, len(by_size) - 1, _BRANCHES + 2).astype(int))
    chosen = by_size[spread[:_BRANCHES]]
    text = "Items with the same first tokens should be similar: a model generates them token by token."
    branches = [_branch(run, tokens, int(token)) for token in chosen]
    return section("Items by prefix", tag("p", text, class_="note"), tag("div", branches, class_="columns"))


def _shown_model(run: RunData, lists: Mapping[str, Predictions]) -> str | None:
    """Choose the most accurate trained model with lists, else the first model with lists."""
    best = best_result(run.metrics, trained=True) if run.metrics is not None else None
    if best is not None and best.model in lists:
        return best.model
    return next(iter(baseline_last(list(lists))), None)


def _chosen(predictions: Predictions) -> list[int]:
    top = predictions.items[:, :_SHOWN]
    hit = (top == predictions.targets[:, None]).any(axis=1)
    rows = [*_spread(np.flatnonzero(hit), 2), *_spread(np.flatnonzero(~hit), 2)]
    return [int(row) for row in rows]


def _spread(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    if len(rows) <= count:
        return rows
    return rows[[len(rows) * (2 * place + 1) // (2 * count) for place in range(count)]]


def _card(run: RunData, predictions: Predictions, row: int, history: npt.NDArray[np.int32]) -> Markup:
    target = int(predictions.targets[row])
    shown = [int(item) for item in predictions.items[row, :_SHOWN] if item >= 0]
    user_id = run.dataset.user_ids[int(predictions.users[row])] if run.dataset is not None else "?"
    rank = shown.index(target) + 1 if target in shown else None
    past = history[-_HISTORY:][::-1].tolist()
    earlier = len(history) - len(past)
    more = tag("p", f"and {earlier} earlier items", class_="note") if earlier > 0 else None
    outcome = f"next item, at rank {rank}" if rank else f"next item, not among the first {_SHOWN}"
    return tag(
        "section",
        tag("h3", f"User {user_id}"),
        tag(
            "div",
            tag(
                "div",
                tag("h4", "history, latest first"),
                tag("ol", [_item(run, i) for i in past], class_="items"),
                more,
                tag("h4", outcome),
                tag("ol", _item(run, target, taken=rank is not None), class_="items"),
            ),
            tag(
                "div",
                tag("h4", "recommendations"),
                tag("ol", [_item(run, i, taken=i == target) for i in shown], class_="items ranked"),
            ),
            class_="columns",
        ),
        class_="user",
    )


def _item(run: RunData, item: int, *, taken: bool = False) -> Markup:
    title = run.titles[item] if run.titles is not None else str(item)
    sid = None
    if run.table is not None and item < len(run.table):
        sid = sid_markup(run.table.tokens[item])
    return tag("li", tag("bdi", title, title=title), sid, class_="taken" if taken else None)


def _branch(run: RunData, tokens: npt.NDArray[np.uint16], first: int) -> Markup:
    rows = np.flatnonzero(tokens[:, 0] == first)
    seconds, counts = np.unique(tokens[rows, 1], return_counts=True)
    largest = seconds[np.argsort(-counts, kind="stable")][:_TWIGS]
    parts: list[Markup] = [_prefix_heading(tokens[rows[:1], :1][0], len(rows))]
    for second in largest:
        under = rows[tokens[rows, 1] == second]
        parts.append(
            tag(
                "div",
                tag("div", sid_markup(tokens[under[0], :2]), tag("span", _items(len(under)), class_="size")),
                tag("ul", [_item(run, int(item)) for item in under[:_LEAVES]], class_="items"),
            )
        )
    return tag("section", parts, class_="branch")


def _prefix_heading(prefix: npt.NDArray[np.uint16], size: int) -> Markup:
    return tag("h3", sid_markup(prefix), tag("span", _items(size), class_="size"))


def _items(count: int) -> str:
    return f"{count:,} item{'s' if count != 1 else ''}"
