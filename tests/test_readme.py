"""The examples of the README and the guides that no other test runs, run as they stand."""

import doctest
import re
from pathlib import Path

import pytest
from tests.run.world import write_world

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(ROOT / "README.md"), module_relative=False, verbose=False)
    assert result.failed == 0
    assert result.attempted > 10


@pytest.mark.parametrize("guide", ["cli", "decode", "ids", "models", "tokenize", "rank", "sid", "trie"])
def test_the_code_of_a_guide(guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_world(tmp_path / "my-data")
    code = "\n".join(CODE.findall((ROOT / "docs" / f"{guide}.md").read_text()))
    assert code
    exec(compile(code, f"{guide}.md", "exec"), {"__name__": guide})


def test_every_link_between_documents_leads_somewhere():
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} -> {target}"


def test_every_guide_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    for guide in (ROOT / "docs").glob("*.md"):
        assert guide.name == "index.md" or f"({guide.name})" in index
