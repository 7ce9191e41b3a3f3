import pytest

from sidkit.errors import DataError
from sidkit.report.tables.documents import update_documents

KINDS = {
    "words": lambda results, subject: f"{subject.upper()} of {results.name}\n",
    "sizes": lambda results, subject: str(len(subject)),
}


def test_every_kind_is_written_by_its_function_and_others_are_kept(tmp_path):
    page = tmp_path / "page.md"
    foreign = "<!-- plots:a -->\nkept\n<!-- /plots -->\n"
    page.write_text(
        f"<!-- words:a b -->\nold\n<!-- /words -->\n{foreign}<!-- sizes:abc -->\n<!-- /sizes -->\nend\n"
    )
    assert update_documents(KINDS, tmp_path / "runs", [page]) == [page]
    assert page.read_text() == (
        "<!-- words:a b -->\n\nA B of runs\n\n<!-- /words -->\n"
        f"{foreign}<!-- sizes:abc -->\n\n3\n\n<!-- /sizes -->\nend\n"
    )
    assert update_documents(KINDS, tmp_path / "runs", [page]) == []


@pytest.mark.parametrize("block", ["<!-- words:a -->\n<!-- /sizes -->", "<!-- sizes:  -->\n<!-- /sizes -->"])
def test_a_mark_without_a_block(tmp_path, block):
    page = tmp_path / "page.md"
    page.write_text(f"{block}\n")
    with pytest.raises(DataError, match=r"every `<!-- sizes:NAME -->` must have a line `<!-- /sizes -->`"):
        update_documents(KINDS, tmp_path, [page])
    assert page.read_text() == f"{block}\n"
