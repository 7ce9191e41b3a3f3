"""The package as a whole: imports, names and version."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sidkit
from sidkit.data import DATASETS
from sidkit.recommenders import RECOMMENDERS
from sidkit.tokenizers import TOKENIZERS

ROOT = Path(__file__).parent.parent


def in_a_new_process(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_needs_numpy_alone():
    """Which modules are loaded decides how long the import takes; the benchmarks measure the time."""
    code = "import sys, numpy; before = set(sys.modules); import sidkit; print(*set(sys.modules) - before)"
    loaded = in_a_new_process(code).split()
    outside = {name for name in loaded if name.partition(".")[0] not in ("sidkit", *sys.stdlib_module_names)}
    assert not {name for name in outside if not name.startswith("numpy")}
    assert "sidkit" in loaded
    assert {name for name in loaded if name.startswith("sidkit.")} == {"sidkit._core"}


def test_every_promised_name_is_there_and_no_other():
    assert len(set(sidkit.__all__) - {"__version__"}) <= 41
    for name in sidkit.__all__:
        assert getattr(sidkit, name) is not None
    visible = {name for name in vars(sidkit) if not name.startswith("_")}
    packages = {module.name for module in pkgutil.iter_modules(sidkit.__path__)}
    machinery = {"import_module", "TYPE_CHECKING", "Any"}
    assert visible - packages - machinery == set(sidkit.__all__) - {"__version__"}
    assert set(sidkit.__all__) <= set(dir(sidkit))


@pytest.mark.parametrize("registry", [TOKENIZERS, RECOMMENDERS], ids=["tokenizers", "recommenders"])
def test_every_tokenizer_and_recommender_is_at_the_top_level(registry):
    for name in registry.names():
        assert getattr(sidkit, registry[name].__name__) is registry[name]


def test_every_dataset_can_be_loaded_by_its_source():
    for name in DATASETS:
        assert DATASETS[name](name).name == name


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


def test_the_version_is_the_same_everywhere():
    manifest = (ROOT / "Cargo.toml").read_text()
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert f'[workspace.package]\nversion = "{sidkit.__version__}"' in manifest
    assert newest is not None and newest[1] == sidkit.__version__


def test_a_missing_extra_is_named():
    code = "import sys; sys.modules['polars'] = None; import sidkit; sidkit.SidTable"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: `polars` is not installed" in result.stderr
    assert "pip install 'sidkit[data]'" in result.stderr


def test_tokenizers_need_no_package_of_embed():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['huggingface_hub', 'sentence_transformers'])); "
        "import sidkit; sidkit.RQKMeans, sidkit.RQVAE, sidkit.RQTransformer"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
