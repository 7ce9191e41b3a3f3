"""Code blocks of documentation pages.

A page is Markdown. Its blocks of Python share one namespace and run from top to bottom. Comments before
a block change how the tests run it, and readers do not see them:

    <!-- test: skip, needs a GPU -->            do not run the next block
    <!-- test: replace "A" with "B" -->         run the next block with other text
    <!-- test: setup                            run this code before the next block
    code
    -->

A block of text titled `Output` holds what the Python block before it prints.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_PART = re.compile(
    r"^<!-- test: (?P<directive>.*?) ?-->$|^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_REPLACE = re.compile(r'replace "(.*?)" with "(.*?)"', re.DOTALL)


@dataclass
class Block:
    """A fenced block: its language, code, first line in the page, and what it should print."""

    language: str
    code: str
    line: int
    output: str | None = None
    skip: bool = False
    setup: list[str] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    """Read all fenced blocks of a page; those titled `Output` belong to the block before."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    directives: list[str] = []
    for part in _PART.finditer(text):
        if part["directive"] is not None:
            directives.append(part["directive"])
            continue
        indent = part["indent"]
        body = "\n".join(line.removeprefix(indent) for line in part["body"].split("\n"))
        if 'title="Output"' in part["info"]:
            assert found and found[-1].output is None, f"{page.name}: output without code"
            found[-1].output = body
            continue
        language = (part["info"].split() or [""])[0]
        block = Block(language, body, text.count("\n", 0, part.start("body")) + 1)
        for directive in directives:
            if directive.startswith("setup"):
                block.setup.append(directive.removeprefix("setup").lstrip("\n"))
            elif directive.startswith("skip"):
                block.skip = True
            else:
                change = _REPLACE.fullmatch(directive)
                assert change, f"{page.name}: unknown directive `{directive}`"
                assert change[1] in block.code, f"{page.name}: `{change[1]}` is not in the next block"
                block.code = block.code.replace(change[1], change[2])
        directives.clear()
        found.append(block)
    assert not directives, f"{page.name}: a directive without a block: {directives}"
    return found


def pages() -> list[Path]:
    """List all pages, in order of their path."""
    return sorted(DOCS.rglob("*.md"))


def skip_without_ml_100k() -> None:
    """Skip the test if MovieLens 100K is neither in the cache nor to be downloaded."""
    from sidkit.data import load_dataset
    from sidkit.errors import DataError

    try:
        load_dataset("ml-100k")
    except DataError as error:
        pytest.skip(f"MovieLens 100K is missing: {error}")
