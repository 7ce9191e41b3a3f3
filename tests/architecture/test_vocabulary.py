"""The glossary: one word for one concept, in names, options and prose.

CONTRIBUTING lists the words to use. `NAMES` are parts of identifiers that must not occur in public names,
parameters, configuration keys and options of the command line; `PROSE` must not occur in the docs, docstrings
and messages.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from tests.architecture.source import modules

ROOT = Path(__file__).parents[2]

#: Part of a name -> what to write.
NAMES = {
    "digit": "token, or code",
    "digits": "tokens, or codes",
    "codes_per_level": "codebook_size",
    "quantize": "tokenize",
    "families": "methods",
    "behaviour": "collaborative",
    "joined": "hybrid",
    "generators": "generative models",
    "questions": "evaluation examples",
    "mask_seen": "exclude_seen",
    "hide": "token masking",
    "wanted": "target",
    "told": "given",
    "judged": "evaluated",
    "judge": "evaluate",
    "foretell": "predict",
    "settle": "post-training selection",
    "swapped": "shuffled-history recall",
    "watchdog": "codebook-collapse check",
    "folder": "directory",
    "extra_losses": "auxiliary losses",
}
#: Names that mean something else, and why.
ALLOWED_NAMES = {
    "isdigit": "a method of str",
}

PROSE = {
    r"digits?": "token, or code",
    r"behaviours?": "collaborative signal; of software: what it does",
    r"questions?": "evaluation examples",
    r"foretells?|foretold": "predict",
    r"anew": "again",
    r"watchdogs?": "codebook-collapse check",
    r"run folders?": "run directory",
    r"extra loss(es)?": "auxiliary losses",
    r"judged|judges?": "evaluated",
    r"settled?s?": "resolve, select",
    r"told": "given",
    r"seen items (are )?masked": "seen items excluded",
    r"equal times": "tied timestamps",
    r"shuffled ties": "ties shuffled",
    r"hash rows": "num_embeddings",
    r"dead codes? reset|reset of dead codes?": "dead-code revival",
    r"famil(y|ies) of tokenizers?": "tokenizer methods",
}
#: (file, matched text) that stand for something else, and why.
ALLOWED_PROSE: dict[tuple[str, str], str] = {}

DOCS = ("README.md", "CHANGELOG.md", "DESIGN.md", "CONTRIBUTING.md", "docs", "recipes")


def _public_names(module):
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_") and node.name != "__init__":
                continue
            yield node.name, node.lineno
            for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                yield each.arg, node.lineno
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower(), node.lineno
            for part in node.body:
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield part.target.id, part.lineno


def test_public_names_use_the_glossary():
    against = [
        f"{module.path.name}:{line} `{name}`: write {instead}"
        for module in modules().values()
        for name, line in _public_names(module)
        if not name.startswith("_") and name not in ALLOWED_NAMES
        for word, instead in NAMES.items()
        if f"_{word}_" in f"_{name}_"
    ]
    assert not against


@cache
def _prose():
    return list(_read_prose())


def _read_prose():
    for module in modules().values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                yield f"{module.path.relative_to(ROOT)}:{node.lineno}", node.value
    for name in DOCS:
        place = ROOT / name
        for path in [place] if place.is_file() else sorted([*place.rglob("*.md"), *place.rglob("*.toml")]):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


@pytest.mark.parametrize("word", PROSE)
def test_prose_uses_the_glossary(word):
    against = [
        f"{place} “{found[0]}”: write {PROSE[word]}"
        for place, text in _prose()
        for found in re.finditer(rf"\b({word})\b", text, re.IGNORECASE)
        if (place.partition(":")[0], found[0].lower()) not in ALLOWED_PROSE
    ]
    assert not against


def test_docstrings_open_with_what_a_thing_is_or_does():
    """A noun phrase or an imperative, not a question."""
    openers = re.compile(r"(What|How|Whether|From|To|Of)\b")
    against = [
        f"{module.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and (text := ast.get_docstring(node))
        and openers.match(text)
    ]
    assert not against
