"""Conditions of requests, limited to expressions whose cost grows with the number of items only."""

import re
from http import HTTPStatus

from sidkit.serve.http.problems import Problem

__all__ = ["check_condition"]

#: Text in quotes, names in quotes, words before a parenthesis, and everything else that is one character.
_TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[A-Za-z_][A-Za-z0-9_]*|[0-9.]+|\s+|.", re.DOTALL)

#: Words that a parenthesis may follow.
_CALLS = frozenset(
    {
        *("and", "or", "not", "in", "between", "like", "ilike", "is", "when", "then", "else", "case"),
        *(
            "abs",
            "array_contains",
            "array_length",
            "ceil",
            "coalesce",
            "ends_with",
            "floor",
            "length",
            "lower",
        ),
        *("round", "starts_with", "trim", "upper"),
    }
)
_DEEPEST = 16
_LONGEST = 200


def check_condition(text: str) -> None:
    """Check that a condition uses comparisons, logic, arithmetic and cheap functions only.

    A function such as `lpad` could take any amount of memory, and deep nesting any depth of the stack.

    Raises:
        Problem: if it uses anything else, is nested too deeply, or has too many parts.
    """
    tokens = [token for token in _TOKEN.findall(text) if not token.isspace()]
    depth, deepest = 0, 0
    for place, token in enumerate(tokens):
        depth += (token in "([") - (token in ")]") if len(token) == 1 else 0
        deepest = max(deepest, depth)
        word = token.lower()
        called = place + 1 < len(tokens) and tokens[place + 1] == "("
        if called and (word[0].isalpha() or word[0] in '_"') and word not in _CALLS:
            raise _refused(f"expected a function such as lower, length or array_contains, got `{token[:80]}`")
        if token in "'\";`{}\\" or word in ("select", "cast"):
            raise _refused(f"expected comparisons of columns with values, got `{token[:80]}`")
    if deepest > _DEEPEST or len(tokens) > _LONGEST:
        raise _refused(
            f"expected at most {_LONGEST} words and signs and {_DEEPEST} nested parentheses, got "
            f"{len(tokens)} and "
            f"{deepest}"
        )
    if sum(token.lower() in ("not", "-", "+", "~") for token in tokens) > _DEEPEST:
        raise _refused(f"expected at most {_DEEPEST} signs `NOT`, `-` and `+`, got more")


def _refused(message: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"`where` is invalid: {message}. Write it like: price < 20 AND brand != 'X'.",
        errors=[{"field": "where", "message": message}],
    )
