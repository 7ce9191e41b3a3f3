"""`run.toml` and `--set`: reading, checking, writing and comparing configurations."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ValidationError

from sidkit._files import write_text
from sidkit.errors import ConfigError
from sidkit.run.config import RunConfig
from sidkit.run.config.nearest import nearest
from sidkit.run.config.presets import preset as preset_tables

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


def build_config(
    *layers: Mapping[str, Any], preset: str | None = None, assignments: Iterable[str] = ()
) -> RunConfig:
    """Lay tables over the preset, assignments over the tables, and check the whole.

    Args:
        layers: nested tables, later ones win.
        preset: a name from `PRESETS`, below all layers.
        assignments: texts such as `train.tiger.max_steps=100`, above all layers.

    Raises:
        ConfigError: for an unknown key (with the nearest valid one), a wrong type or value, a contradiction.
    """
    tables: Tables = {}
    for layer in ({} if preset is None else preset_tables(preset), *layers):
        _merge(tables, layer)
    for text in assignments:
        _merge(tables, parse_assignment(text))
    return _checked(tables, where="the settings")


def parse_assignment(text: str) -> Tables:
    """Turn `section.key=value` into nested tables; the value is TOML, or else the text itself.

    Raises:
        ConfigError: if there is no `=` or no key in front of it.
    """
    key, equals, value = text.partition("=")
    path = [part.strip() for part in key.split(".")]
    if not equals or not all(path) or len(path) < 2:
        raise ConfigError(
            f"a setting is written section.key=value, it was `{text}`; an example: tokenize.levels=4"
        )
    tables: Tables = {path[-1]: _value(value.strip())}
    for part in reversed(path[:-1]):
        tables = {part: tables}
    return tables


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


def read_config(path: str | os.PathLike[str]) -> RunConfig:
    """Read and check a `run.toml`; keys that it leaves out have their defaults.

    Raises:
        ConfigError: if the file is missing, is not TOML, or holds what `build_config` refuses.
    """
    return _checked(read_tables(path), where=f"`{Path(path)}`")


def write_config(config: RunConfig, path: str | os.PathLike[str]) -> None:
    """Write every setting, defaults included; a setting without a value (None) is left out."""
    write_text(path, tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)))


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
        lines = [_sentence(problem) for problem in error.errors(include_url=False)]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from error


def _sentence(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"there is no setting `{key}`{nearest(key, _valid_keys(path[:-1]))}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not path:
        return message
    given = problem.get("input")
    shown = "" if isinstance(given, dict) else f", it is {given!r}"
    return f"`{key}`: {message[0].lower()}{message[1:]}{shown if problem['type'] != 'value_error' else ''}"


def _valid_keys(section: list[str]) -> list[str]:
    """Return the dotted keys in the section, and then those of the whole configuration."""
    inside = ".".join(section)
    keys = list(flatten(RunConfig()))
    sections = {key.rpartition(".")[0] for key in keys} | {key.partition(".")[0] for key in keys}
    siblings = [key for key in (*keys, *sections) if key.rpartition(".")[0] == inside]
    return siblings or keys
