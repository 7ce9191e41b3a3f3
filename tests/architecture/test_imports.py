"""The import graph: one direction, no cycles, at module level."""

from tests.architecture.source import modules, needs

#: What each package may import besides itself and the private modules of the top level: the stages before it.
#: `ids` comes before `tokenizers`, whose `semantic_ids` returns a table.
LAYERS = {
    "data": set(),
    "embed": {"data"},
    "ids": {"data"},
    "tokenizers": {"data", "embed", "ids"},
    "models": {"data", "ids", "tokenizers"},
    "train": {"data", "ids", "tokenizers", "models"},
    "decode": {"data", "ids", "tokenizers", "models"},
    "evaluate": {"data", "ids"},
    "rerank": {"data", "ids"},
    "recommenders": {"data", "embed", "ids", "tokenizers", "models", "train", "decode", "evaluate", "rerank"},
    "search": {"data", "embed", "ids", "tokenizers", "models", "train", "decode", "evaluate"},
    "ranking": {"data", "embed", "ids", "tokenizers", "evaluate"},
    "report": {"data", "embed", "ids", "tokenizers", "evaluate", "recommenders", "ranking", "search"},
    "run": {
        *("data", "embed", "ids", "tokenizers", "models", "train", "decode", "evaluate", "recommenders"),
        *("report", "search"),
    },
    "experiments": {
        *("data", "embed", "ids", "tokenizers", "decode", "evaluate", "recommenders", "ranking", "report"),
        *("rerank", "run", "train"),
    },
}
LAYERS["serve"] = {
    *("data", "embed", "ids", "tokenizers", "models", "rerank", "recommenders", "run"),
}
LAYERS["scale"] = {"data", "embed", "ids", "tokenizers", "recommenders", "run"}
LAYERS["cli"] = set(LAYERS)


def _package(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""


def test_every_package_has_a_layer():
    packages = {
        name.split(".")[1]
        for name, module in modules().items()
        if module.path.name == "__init__.py" and name.count(".") == 1 and "._" not in name
    }
    assert packages == set(LAYERS)


def test_imports_follow_the_pipeline():
    against = [
        f"{name} imports {target}"
        for name, module in modules().items()
        for target in sorted(module.imports | {local for local, _ in module.local_imports})
        if (package := _package(name)) and _package(target) not in {"", package, *LAYERS[package]}
    ]
    assert not against


def test_private_modules_of_the_top_level_import_no_stage():
    against = [
        f"{name} imports {target}"
        for name, module in modules().items()
        if name.count(".") == 1 and not _package(name) and name != "sidkit.__main__"
        for target in sorted(module.imports)
        if _package(target)
    ]
    assert not against


def test_no_module_imports_the_names_of_the_top_level():
    """They are for users: a module that imports from `sidkit` would import what it is imported by."""
    against = [name for name, module in modules().items() if "sidkit" in module.imports]
    assert not against


def test_there_are_no_cycles():
    """`if TYPE_CHECKING` counts: a type that goes in a circle is a responsibility that does."""
    graph = {name: module.imports & set(modules()) for name, module in modules().items() if name != "sidkit"}
    done: set[str] = set()
    path: list[str] = []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        path.append(name)
        for target in sorted(graph.get(name, ())):
            if found := visit(target):
                return found
        path.pop()
        done.add(name)
        return None

    cycles = [found for name in sorted(graph) if (found := visit(name))]
    assert not cycles


def test_imports_inside_functions_are_for_optional_dependencies():
    against = [
        f"{module.path.name}:{line} ({name}) imports {target}, which needs nothing more"
        for name, module in modules().items()
        if name != "sidkit"
        for target, line in module.local_imports
        if not needs(target) - needs(name)
    ]
    assert not against
