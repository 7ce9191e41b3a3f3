"""The example of the README runs and prints what the README shows; links between documents lead somewhere."""

import contextlib
import io
import re

import pytest
from tests.docs.pages import DOCS, ROOT, blocks, pages, skip_without_ml_100k

INTERVAL = re.compile(r"(\w+@10) +([\d.]+) \(([\d.]+)–([\d.]+)\) +([\d.]+) \(([\d.]+)–([\d.]+)\)")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_example_is_short():
    (example,) = (block for block in blocks(ROOT / "README.md") if block.language == "python")
    assert len([line for line in example.code.splitlines() if line.strip()]) <= 15


@pytest.mark.slow
def test_the_example_prints_what_it_shows(tmp_path, monkeypatch):
    skip_without_ml_100k()
    monkeypatch.chdir(tmp_path)
    (example,) = (block for block in blocks(ROOT / "README.md") if block.language == "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example.code, "README.md", "exec"), {"__name__": "example"})
    got, shown = printed.getvalue().splitlines(), example.output.splitlines()
    assert got[0] == shown[0]  # Semantic IDs are the same on every machine
    # Training is not, to the last bit: lists overlap, and metrics are within the intervals shown.
    ours, theirs = (set(re.findall(r"\d+", line)) for line in (got[1], shown[1]))
    assert len(ours & theirs) >= 5
    values, limits = INTERVAL.findall("\n".join(got)), INTERVAL.findall("\n".join(shown))
    assert len(values) == len(limits) == 3
    for value, limit in zip(values, limits, strict=True):
        assert value[0] == limit[0]
        assert float(limit[2]) <= float(value[1]) <= float(limit[3])
        assert float(limit[5]) <= float(value[4]) <= float(limit[6])
    assert got[6:] == shown[6:]  # the protocol
    assert (tmp_path / "shop-model" / "model.json").is_file()


@pytest.mark.parametrize("document", [*sorted(ROOT.glob("*.md")), *pages()], ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document):
    for target in LINK.findall(CODE.sub("", document.read_text(encoding="utf-8"))):
        assert (document.parent / target).exists(), f"{document.name} -> {target}"


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in pages():
        assert str(page.relative_to(DOCS)) in navigation, page
