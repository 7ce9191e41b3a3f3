"""Every code block of every page runs and prints what the page says."""

import contextlib
import doctest
import io

import pytest
from tests.docs.pages import DOCS, Block, blocks, pages, skip_without_ml_100k

from sidkit.data import DATASETS
from sidkit.recommenders.registry import RECOMMENDERS
from sidkit.tokenizers.registry import TOKENIZERS

_CHECKER = doctest.OutputChecker()
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
WITH_CODE = [page for page in pages() if any(block.language in ("python", "pycon") for block in blocks(page))]


def run(block: Block, page: str, namespace: dict) -> str:
    """Run a block with the names of those before it; give what it printed."""
    for code in block.setup:
        exec(compile(code, f"{page} (setup)", "exec"), namespace)
    printed = io.StringIO()
    if block.language == "pycon":
        test = doctest.DocTestParser().get_doctest(block.code, namespace, page, page, block.line)
        test.globs = namespace
        failed = (
            doctest.DocTestRunner(optionflags=_FLAGS).run(test, out=printed.write, clear_globs=False).failed
        )
        assert not failed, printed.getvalue()
        return ""
    code = compile("\n" * (block.line - 1) + block.code, page, "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


@pytest.fixture
def registries(monkeypatch):
    """Forget what a page registers."""
    for registry in (DATASETS, TOKENIZERS, RECOMMENDERS):
        monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(DOCS).with_suffix("")))
def test_the_code_of_a_page(page, tmp_path, monkeypatch):
    if '"ml-100k"' in page.read_text(encoding="utf-8"):
        skip_without_ml_100k()
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for block in blocks(page):
        if block.language not in ("python", "pycon") or block.skip:
            continue
        printed = run(block, str(page), namespace)
        if block.output is not None:
            right = _CHECKER.check_output(block.output, printed, _FLAGS)
            assert right, f"{page}:{block.line} prints\n{printed}\ninstead of\n{block.output}"
