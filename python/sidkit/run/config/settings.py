"""`run.toml` and `--set`: reading, checking, writing and comparing configurations."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from sidkit._arguments import Count, checked
from sidkit._files import write_text
from sidkit._settings_errors import problems_of
from sidkit.errors import ConfigError
from sidkit.run.config.presets import preset as preset_tables
from sidkit.run.config.run import RunConfig
from sidkit.run.config.tokenize import DEFAULT_TOKENIZER, tokenizer_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "build_config",
    "differences",
    "flatten",
    "parse_assignment",
    "read_config",
    "read_tables",
    "write_config",
]

Tables = dict[str, Any]


@checked
def build_config(
    *layers: Mapping[str, Any],
    preset: str | None = None,
    assignments: Iterable[str] = (),
    items: Count | None = None,
) -> RunConfig:
    """Merge tables over a preset and assignments over the tables, and check the result.

    A layer that changes `tokenize.method` keeps those settings of the layers below that the new method has
    too, except for those that are defaults of the former method.

    Args:
        layers: nested tables, later ones win.
        preset: name out of `PRESETS`, below all layers.
        assignments: texts such as `recommenders.tiger.max_steps=100`, above all layers.
        items: size of the catalogue, from which a preset chooses levels and codebook size.

    Raises:
        ConfigError: for an unknown key (with the nearest valid one), a wrong type or value, a contradiction.
    """
    tables: Tables = {}
    above: Tables = {}
    for text in assignments:
        _merge(above, parse_assignment(text))
    for layer in ({} if preset is None else preset_tables(preset, items), *layers, above):
        _change_method(tables, layer)
        _merge(tables, layer)
    return _checked(tables, where="the settings")


def _change_method(tables: Tables, layer: Mapping[str, Any]) -> None:
    """Drop settings of the present tokenizer that do not apply with the changes of the next layer."""
    present, following = tables.get("tokenize"), layer.get("tokenize")
    if not isinstance(present, dict) or not isinstance(following, Mapping):
        return
    if following.get("vectors", present.get("vectors", "content")) != present.get("vectors", "content"):
        present.pop("standardize", None)  # its default depends on the vectors
    before = present.get("method", DEFAULT_TOKENIZER)
    after = following.get("method", before)
    if before == after:
        return
    former, later = tokenizer_settings(before).model_fields, tokenizer_settings(after).model_fields
    for key in list(present):
        if key in former and (key not in later or present[key] == former[key].default):
            del present[key]


@checked
def parse_assignment(text: str) -> Tables:
    """Turn `section.key=value` into nested tables; the value is TOML, or else the text itself.

    Raises:
        ConfigError: if there is no `=` or no key in front of it.
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path) or len(path) < 2:
        raise ConfigError(
            f"a setting is written section.key=value, it was `{text}`; for example tokenize.levels=4"
        )
    tables: Tables = {path[-1]: _value(value.strip())}
    for part in reversed(path[:-1]):
        tables = {part: tables}
    return tables


@checked
def read_tables(path: str | os.PathLike[str]) -> Tables:
    """Read a TOML file without checking its keys.

    Raises:
        ConfigError: if the file is missing or not TOML.
    """
    file = Path(path)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file `{file}`; `sidkit run` writes one as run.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{file}` is not TOML: {error}") from error


@checked
def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Read and check a `run.toml`; keys that it leaves out have their defaults.

    Raises:
        ConfigError: if the file is missing, is not TOML, or holds what `build_config` refuses.
    """
    return _checked(read_tables(path), where=f"`{Path(path)}`")


@checked
def write_config(config: RunConfig, path: str | os.PathLike[str]) -> None:
    """Write every setting, defaults included; a setting without a value (None) is left out."""
    tables = config.model_dump(mode="json", exclude_none=True)
    if not tables["data"]["columns"]:
        del tables["data"]["columns"]
    write_text(path, tomli_w.dumps(tables))


@checked
def flatten(settings: BaseModel | Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as `{"section.key": value}`."""
    tables = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings
    flat: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


@checked
def differences(before: RunConfig, after: RunConfig) -> list[str]:
    """List the settings in which two configurations differ, as `key: before -> after`."""
    old, new = flatten(before), flatten(after)
    return [f"{key}: {_shown(old[key])} -> {_shown(new[key])}" for key in old if old[key] != new[key]]


def _shown(value: Any) -> str:
    return "unset" if value is None else repr(value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(into: Tables, layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            below = into.setdefault(key, {})
            if not isinstance(below, dict):
                raise ConfigError(f"`{key}` is given both a value and keys below it")
            _merge(below, value)
        else:
            into[key] = value


def _checked(tables: Mapping[str, Any], *, where: str) -> RunConfig:
    try:
        return RunConfig.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(f"{where}: {problems_of(error)}") from error
