import subprocess
import sys

import pytest

from sidkit._registry import Registry, discover, nearest
from sidkit.errors import ConfigError

BUILTIN = {"fraction": "fractions:Fraction", "decimal": "decimal:Decimal"}


@pytest.fixture
def numbers():
    return Registry("sidkit.tests.numbers", "number", BUILTIN)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package with entry points of the group `sidkit.tests.numbers`, as pip would."""

    def install(**points):
        (tmp_path / "surreal_numbers.py").write_text(
            "class Surreal:\n    method = 'surreal'\n\n\nclass Plain:\n    pass\n"
        )
        metadata = tmp_path / "surreal_numbers-1.0.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: surreal-numbers\nVersion: 1.0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (metadata / "entry_points.txt").write_text(f"[sidkit.tests.numbers]\n{lines}")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    sys.modules.pop("surreal_numbers", None)


def test_builtins_are_imported_by_name(numbers):
    from decimal import Decimal
    from fractions import Fraction

    assert numbers["fraction"] is Fraction
    assert numbers["decimal"] is Decimal


def test_the_first_public_name_of_a_module_is_its_implementation():
    import fractions

    assert Registry("none", "number", {"fraction": "fractions"})["fraction"] is fractions.Fraction


def test_unknown_names_are_refused_with_the_nearest_name(numbers):
    with pytest.raises(ConfigError, match=r"no number `fractoin`: .*; did you mean `fraction`\?"):
        numbers["fractoin"]
    with pytest.raises(ConfigError, match=r"expected one of fraction, decimal$"):
        numbers["zzz"]


def test_nearest_is_empty_without_a_similar_name():
    assert nearest("abc", ["xyz"]) == ""
    assert nearest("sasrce", ["sasrec", "tiger"]) == "; did you mean `sasrec`?"


def test_names_contains_iteration_and_length_agree(numbers):
    assert numbers.names() == list(numbers) == ["fraction", "decimal"]
    assert len(numbers) == 2
    assert "decimal" in numbers
    assert "surreal" not in numbers


def test_plugins_come_after_builtins_and_are_loaded_on_use(numbers, plugin):
    plugin(surreal="surreal_numbers:Surreal", plain="surreal_numbers:Plain")
    assert numbers.names() == ["fraction", "decimal", "surreal", "plain"]
    assert "surreal" in numbers
    assert "surreal_numbers" not in sys.modules
    assert numbers["surreal"].__name__ == "Surreal"
    assert numbers["plain"].__name__ == "Plain"


def test_builtins_take_precedence_over_plugins(numbers, plugin):
    from fractions import Fraction

    plugin(fraction="surreal_numbers:Surreal")
    assert numbers.names() == ["fraction", "decimal"]
    assert numbers["fraction"] is Fraction


def test_broken_plugins_are_named(numbers, plugin):
    plugin(gone="surreal_numbers:Gone", missing="no_such_module:Number", other="surreal_numbers:Surreal")
    with pytest.raises(ConfigError, match=r"plug-in `surreal-numbers`.*surreal_numbers:Gone"):
        numbers["gone"]
    with pytest.raises(ConfigError, match=r"no_such_module"):
        numbers["missing"]
    with pytest.raises(ConfigError, match=r"expected `method = 'other'`, got 'surreal'"):
        numbers["other"]


def test_register_replaces_and_unregister_restores(numbers):
    from fractions import Fraction

    assert numbers.register("fraction", complex) is complex
    assert numbers["fraction"] is complex
    numbers.register("complex", complex)
    assert numbers.names() == ["fraction", "decimal", "complex"]
    numbers.unregister("fraction")
    assert numbers["fraction"] is Fraction


def test_discover_lists_modules_and_packages_without_importing_them(tmp_path):
    (tmp_path / "alpha.py").write_text("raise ImportError('not to be imported')")
    (tmp_path / "beta").mkdir()
    (tmp_path / "beta" / "__init__.py").write_text("raise ImportError('not to be imported')")
    for name in ("_private.py", "base.py", "notes.txt"):
        (tmp_path / name).touch()
    assert discover("shop", tmp_path, skip={"base"}) == {"alpha": "shop.alpha", "beta": "shop.beta"}


def test_registries_import_no_implementation():
    code = (
        "import sys; from sidkit.recommenders.registry import RECOMMENDERS; list(RECOMMENDERS);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
