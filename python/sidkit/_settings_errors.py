"""Sentences about the problems that pydantic found in settings."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

__all__ = ["problems_of"]

#: What pydantic puts into the path of an error for the member of a union, or the place in a list.
_MEMBER = re.compile(r"(constrained-)?(int|float|str)|bool|[A-Z]\w*Settings|.*\[.*\]|\d+")


def problems_of(error: ValidationError) -> str:
    """Describe all problems, one clause for every setting."""
    return "; ".join(dict.fromkeys(_sentences(error.errors(include_url=False))))


def _sentences(problems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one sentence for every key; where a key may be of several types, all of them in one sentence."""
    by_key: dict[str, list[Mapping[str, Any]]] = {}
    for problem in problems:
        by_key.setdefault(_key(problem), []).append(problem)
    for key, found in by_key.items():
        if any(other.startswith(f"{key}.") for other in by_key) and all(map(_is_about_type, found)):
            continue  # the value is of another type than this one, whose problem is inside
        if found[0]["type"] == "unknown_setting":
            yield _unknown(key, found[0]["ctx"]["hint"])
            continue
        found = [problem for problem in found if not _is_about_type(problem)] or found
        messages = [str(problem["msg"]).removeprefix("Value error, ") for problem in found]
        if not key:
            yield from messages
            continue
        said = " or ".join(dict.fromkeys(message[0].lower() + message[1:] for message in messages))
        given = found[0].get("input")
        shown = (
            "" if isinstance(given, Mapping) or found[0]["type"] == "value_error" else f", it is {given!r}"
        )
        yield f"`{key}`: {said}{shown}"


def _is_about_type(problem: Mapping[str, Any]) -> bool:
    return str(problem["type"]).endswith("_type") or problem["type"] == "literal_error"


def _unknown(key: str, hint: str) -> str:
    parent, dot, _ = key.rpartition(".")
    if hint.startswith("; did you mean `"):
        hint = hint.replace("`", f"`{parent}{dot}", 1)
    return f"there is no setting `{key}`{hint}"


def _key(problem: Mapping[str, Any]) -> str:
    """Return the dotted key of a setting, without the parts by which pydantic names members of unions."""
    path = [str(part) for part in problem["loc"]]
    if path[:2] == ["recommenders", "tables"]:
        del path[1]
    return ".".join(part for part in path if not _MEMBER.fullmatch(part))
