import doctest
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "embed.md"


def test_what_the_guide_shows_is_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(GUIDE), module_relative=False, encoding="utf-8")
    assert result.attempted > 8
    assert result.failed == 0
