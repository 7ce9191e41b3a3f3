"""Budgets of files, folders and signatures."""

import ast
from collections import Counter
from statistics import median

from tests.architecture.source import modules

FILES_IN_A_FOLDER = 16
LONGEST_FILE = 450
MEDIAN_FILE = 150
PARAMETERS = 8


def _lines():
    return {
        name: len(module.path.read_text(encoding="utf-8").splitlines()) for name, module in modules().items()
    }


def test_folders_are_no_drawers():
    counts = Counter(module.path.parent for module in modules().values())
    assert not {folder.name: count for folder, count in counts.items() if count > FILES_IN_A_FOLDER}


def test_files_are_short():
    lines = _lines()
    assert not {name: count for name, count in lines.items() if count > LONGEST_FILE}
    assert median(lines.values()) <= MEDIAN_FILE


def test_functions_have_few_parameters():
    """Constructors are exempt: their parameters are settings, documented one by one."""
    against = [
        f"{module.path.name}:{node.lineno} {node.name} has {count}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name != "__init__"
        and (count := _parameters(node)) > PARAMETERS
        and not _is_command(node)
    ]
    assert not against


def _parameters(node):
    arguments = node.args
    names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _is_command(node):
    """A verb of the command line, whose parameters are its options."""
    return any("typer.Option" in ast.dump(each) or "Option" in ast.dump(each) for each in node.args.args)
