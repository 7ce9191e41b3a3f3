"""The package as a whole: what importing it costs and shows, and that its version is told once."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sidkit

ROOT = Path(__file__).parent.parent


def in_a_new_process(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_needs_numpy_alone():
    loaded = in_a_new_process(
        "import sys, sidkit; print(*{name.partition('.')[0] for name in sys.modules})"
    ).split()
    heavy = {
        "torch",
        "polars",
        "pyarrow",
        "pydantic",
        "typer",
        "rich",
        "sklearn",
        "safetensors",
        "matplotlib",
    }
    assert heavy.isdisjoint(loaded)
    assert "sidkit" in loaded


def test_importing_takes_less_than_a_fifth_of_a_second():
    code = "import time; start = time.perf_counter(); import sidkit; print(time.perf_counter() - start)"
    # The least of several: other work on the machine is not ours.
    assert min(float(in_a_new_process(code)) for _ in range(5)) < 0.2


def test_every_promised_name_is_there_and_no_other():
    for name in sidkit.__all__:
        assert getattr(sidkit, name) is not None
    visible = {name for name in vars(sidkit) if not name.startswith("_")}
    packages = {module.name for module in pkgutil.iter_modules(sidkit.__path__)}
    machinery = {"import_module", "TYPE_CHECKING", "Any"}
    assert visible - packages - machinery == set(sidkit.__all__) - {"__version__"}
    assert set(sidkit.__all__) <= set(dir(sidkit))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module `sidkit` has no attribute `Tiger`"):
        sidkit.Tiger  # noqa: B018


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(sidkit.__path__) if module.ispkg]
)
def test_every_package_promises_what_it_has(name):
    package = importlib.import_module(f"sidkit.{name}")
    assert package.__doc__
    assert sorted(package.__all__) == sorted(set(package.__all__))
    for member in package.__all__:
        assert getattr(package, member) is not None


def test_the_version_is_told_once():
    manifest = (ROOT / "Cargo.toml").read_text()
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert f'[workspace.package]\nversion = "{sidkit.__version__}"' in manifest
    assert newest is not None and newest[1] == sidkit.__version__


def test_a_missing_extra_is_named():
    code = "import sys; sys.modules['polars'] = None; import sidkit; sidkit.SidTable"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: `polars` is not installed" in result.stderr
    assert "pip install 'sidkit[data]'" in result.stderr
