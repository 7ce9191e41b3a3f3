"""Every `sidkit` command that a page shows exists, with its options and settings."""

import re
import shlex
from itertools import pairwise

import pytest
import typer
from tests.docs.pages import DOCS, ROOT, blocks, pages

from sidkit.cli.app import app
from sidkit.run import build_config, read_tables

GROUP = typer.main.get_command(app)
ANY_NAME = {"quantiles": "rqkmeans", "markov": "popularity"}  # the plug-ins of a guide
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages()]


def commands():
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language != "bash":
                continue
            for line in block.code.splitlines():
                words = shlex.split(line, comments=True)
                if "sidkit" in words and not {"pip", "git", "cp"} & set(words):
                    yield pytest.param(words[words.index("sidkit") + 1 :], id=f"{document.stem}: {line[:60]}")


@pytest.mark.parametrize("words", list(commands()))
def test_a_command(words):
    verb, *rest = words
    _, command, _ = GROUP.resolve_command(typer.Context(GROUP), [verb])
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("-")}
    assert {word for word in rest if re.match(r"--?[a-z]", word)} <= options
    settings = [value for word, value in pairwise(rest) if word == "--set"]
    for name, built_in in ANY_NAME.items():
        settings = [setting.replace(name, built_in) for setting in settings]
    preset = rest[rest.index("--preset") + 1] if "--preset" in rest else None
    build_config({"data": {"source": "ml-100k"}}, preset=preset, assignments=settings)


def test_settings_of_a_run(tmp_path):
    (example,) = (block for block in blocks(DOCS / "guide" / "run.md") if block.language == "toml")
    (tmp_path / "run.toml").write_text(example.code)
    build_config(read_tables(tmp_path / "run.toml"))
