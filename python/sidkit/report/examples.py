"""The sections that show items: users and what they were recommended, prefixes and what is under them."""

import numpy as np
import numpy.typing as npt

from sidkit.evaluate import Predictions
from sidkit.report.collect import RunData
from sidkit.report.identifiers import sid_markup
from sidkit.report.markup import Markup, tag
from sidkit.report.vocabulary import baseline_last, model_name

__all__ = ["prefixes", "users"]

_HISTORY = 6
_SHOWN = 6
_HIT_WITHIN = 10
_BRANCHES = 4
_TWIGS = 2
_LEAVES = 5


def users(run: RunData) -> list[Markup]:
    """Show the history and the recommendations of four users, two of whom got what they took next."""
    model = next((m for m in baseline_last(list(run.predictions)) if m in run.predictions), None)
    if model is None or run.test is None or run.titles is None:
        return []
    predictions = run.predictions[model]
    places = {int(user): row for row, user in enumerate(run.test.users)}
    rows = [row for row in _chosen(predictions) if int(predictions.users[row]) in places]
    if not rows or predictions.items.max() >= len(run.titles):
        return []
    text = (
        f"{model_name(model)} on users of the test part, chosen by rule: two spread over those whose next "
        f"item is among the first {_HIT_WITHIN}, two over those whose is not."
    )
    cards = [
        _card(run, predictions, row, run.test.histories[places[int(predictions.users[row])]]) for row in rows
    ]
    return [tag("h2", "Recommendations"), tag("p", text, class_="note"), *cards]


def prefixes(run: RunData) -> list[Markup]:
    """Show what is under some prefixes: items that share their first tokens."""
    if run.table is None or run.titles is None or not len(run.table) or len(run.titles) != len(run.table):
        return []
    tokens = run.table.tokens
    if tokens.shape[1] < 2:
        return []
    counts = np.bincount(tokens[:, 0], minlength=run.table.sizes[0])
    # Prefixes of middling size say more than the fullest ones, which hold what fits nowhere else.
    used = np.flatnonzero(counts >= min(4, int(counts.max())))
    by_size = used[np.argsort(-counts[used], kind="stable")]
    spread = np.unique(np.linspace(len(by_size) // 8, len(by_size) - 1, _BRANCHES + 2).astype(int))
    chosen = by_size[spread[:_BRANCHES]]
    text = (
        "Items under the same first tokens should be alike: that is what lets a model generate them "
        "token by token."
    )
    branches = [_branch(run, tokens, int(token)) for token in chosen]
    return [
        tag("h2", "Under a prefix"),
        tag("p", text, class_="note"),
        tag("div", branches, class_="columns"),
    ]


def _chosen(predictions: Predictions) -> list[int]:
    top = predictions.items[:, :_HIT_WITHIN]
    hit = (top == predictions.targets[:, None]).any(axis=1)
    rows = [*_spread(np.flatnonzero(hit), 2), *_spread(np.flatnonzero(~hit), 2)]
    return [int(row) for row in rows]


def _spread(rows: npt.NDArray[np.int64], wanted: int) -> npt.NDArray[np.int64]:
    if len(rows) <= wanted:
        return rows
    return rows[[len(rows) * (2 * place + 1) // (2 * wanted) for place in range(wanted)]]


def _card(run: RunData, predictions: Predictions, row: int, history: npt.NDArray[np.int32]) -> Markup:
    target = int(predictions.targets[row])
    shown = [int(item) for item in predictions.items[row, :_HIT_WITHIN] if item >= 0]
    user_id = run.dataset.user_ids[int(predictions.users[row])] if run.dataset is not None else "?"
    rank = shown.index(target) + 1 if target in shown else None
    past = history[-_HISTORY:][::-1].tolist()
    earlier = len(history) - len(past)
    more = tag("p", f"and {earlier} earlier", class_="note") if earlier > 0 else None
    outcome = (
        f"what came next, at rank {rank}" if rank else f"what came next, not among the first {_HIT_WITHIN}"
    )
    visible = shown[: max(_SHOWN, rank or 0)]
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
                tag("h4", "recommended"),
                tag("ol", [_item(run, i, taken=i == target) for i in visible], class_="items"),
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
    fullest = seconds[np.argsort(-counts, kind="stable")][:_TWIGS]
    parts: list[Markup] = [_prefix_heading(tokens[rows[:1], :1][0], len(rows))]
    for second in fullest:
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
