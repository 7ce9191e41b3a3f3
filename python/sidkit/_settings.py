"""Settings derived from constructors: each option is defined once, where the class is.

`settings_model` turns a class into a pydantic model with one field per constructor argument. Types,
constraints and defaults come from the signature, descriptions from the docstrings. Configuration files,
command-line help and plug-ins use these models, so none of them repeats an option.
"""

import ast
import collections.abc
import dataclasses
import functools
import inspect
import os
import re
import textwrap
import types
from collections.abc import Iterable, Mapping
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from sidkit._arguments import Bounds, Count, Seed, Width
from sidkit._registry import nearest
from sidkit._settings_errors import problems_of
from sidkit.errors import ConfigError

__all__ = [
    "Count",
    "Depth",
    "Fraction",
    "NonNegative",
    "Positive",
    "Section",
    "Seed",
    "Settings",
    "Width",
    "check_arguments",
    "descriptions",
    "settings_model",
]

Depth = Annotated[int, Bounds(ge=1, le=128)]
Fraction = Annotated[float, Bounds(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, Bounds(ge=0.0)]
Positive = Annotated[float, Bounds(gt=0.0)]

_SEQUENCES = (list, tuple, collections.abc.Sequence, collections.abc.Iterable)
_UNIONS = (Union, types.UnionType)


class Section(BaseModel):
    """One table of settings: frozen, without type conversions, and without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        unknown = [str(key) for key in values if key not in cls.model_fields]
        if unknown:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError("unknown_setting", "unknown setting", cls._advice(key)),
                        loc=(key,),
                        input=values[key],
                    )
                    for key in unknown
                ],
            )
        return values

    @classmethod
    def _advice(cls, key: str) -> dict[str, Any]:
        """Return the details of an error about an unknown key: `hint`, such as the nearest valid one."""
        return {"hint": nearest(key, cls.model_fields)}


class Settings(Section):
    """The constructor arguments of one class; `settings_model` makes a subclass for each."""

    configures: ClassVar[type[Any]]
    """The class that is configured."""
    arguments_of: ClassVar[frozenset[str]] = frozenset()
    """The fields that are arguments of the constructor."""
    tuples_of: ClassVar[frozenset[str]] = frozenset()
    """The fields whose defaults are tuples; a list in their place becomes one."""

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the constructor; nested settings become objects."""
        given = {name: _built(getattr(self, name)) for name in type(self).model_fields}
        return {
            name: tuple(value) if name in self.tuples_of and isinstance(value, list) else value
            for name, value in given.items()
            if name in self.arguments_of
        }

    def build(self) -> Any:
        """Construct the object.

        Raises:
            ConfigError: if the class refuses the combination of values.
        """
        return self.configures(**self.arguments())


_Settings = TypeVar("_Settings", bound=Settings)


@overload
def settings_model(cls: type[Any], *, exclude: Iterable[str] = ...) -> type[Settings]: ...
@overload
def settings_model(
    cls: type[Any], base: type[_Settings], *, exclude: Iterable[str] = ...
) -> type[_Settings]: ...
def settings_model(
    cls: type[Any], base: type[Settings] = Settings, *, exclude: Iterable[str] = ("threads",)
) -> type[Settings]:
    """Derive a pydantic model from the constructor of a class.

    Args:
        cls: a class whose constructor arguments are annotated. An argument that is, or may be, a small
            dataclass becomes a nested table.
        base: parent of the model; its own fields stay, and come first.
        exclude: constructor arguments that are no settings.

    Returns:
        The model, the same one for equal arguments. If `cls` has a `method`, so has the model, as the
        discriminator of unions.

    Raises:
        TypeError: if an argument has no annotation, or one that a settings file cannot hold.
    """
    return _settings_model(cls, base, frozenset(exclude))  # type: ignore[arg-type]


@functools.cache
def _settings_model(cls: Any, base: type[Settings], exclude: frozenset[str]) -> type[Settings]:
    described = descriptions(cls)
    hints = get_type_hints(cls if dataclasses.is_dataclass(cls) else cls.__init__, include_extras=True)
    fields: dict[str, Any] = {}
    method = getattr(cls, "method", None)
    if isinstance(method, str):
        fields["method"] = (Literal[method], Field(method, description=_first_sentence(cls)))
    defaults = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        if name in exclude or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name not in hints:
            raise TypeError(f"{cls.__name__}: argument `{name}` has no annotation")
        defaults[name] = _default(cls, parameter)
        fields[name] = (_translated(hints[name]), _field(defaults[name], described.get(name)))
    model = create_model(
        f"{cls.__name__}Settings", __base__=base, __module__=cls.__module__, __doc__=cls.__doc__, **fields
    )
    model.configures = cls
    model.arguments_of = frozenset(defaults)
    model.tuples_of = frozenset(name for name, value in defaults.items() if isinstance(value, tuple))
    return model


def check_arguments(configured: Any) -> None:
    """Check the constructor arguments of an object as a settings file would be checked.

    Args:
        configured: an object with `get_params`. An object whose class cannot be configured is not checked.

    Raises:
        ConfigError: if a value has the wrong type or is out of range.
    """
    cls = type(configured)
    try:
        model = settings_model(cls)
    except TypeError:  # a plug-in whose arguments have no annotations
        return
    given = configured.get_params(deep=False)
    try:
        model.model_validate({name: _plain(given[name]) for name in model.arguments_of})
    except ValidationError as error:
        raise ConfigError(f"{cls.__name__}: {problems_of(error)}") from error


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Return the description of each constructor argument, by name.

    Attribute docstrings of a dataclass and of its parents come first, then the `Args:` sections of the
    docstrings of the class and of its constructor. Line breaks become spaces.
    """
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if dataclasses.is_dataclass(each) or "__init__" in vars(each):
            found |= _from_arguments_section(vars(each).get("__doc__"))
            found |= _from_arguments_section(getattr(vars(each).get("__init__"), "__doc__", None))
        if dataclasses.is_dataclass(each):
            found |= _from_attribute_docstrings(each)
    return found


def _from_attribute_docstrings(cls: type[Any]) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made at run time
        return {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        text = following.value if isinstance(following, ast.Expr) else None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            found[statement.target.id] = " ".join(text.value.split())
    return found


def _from_arguments_section(docstring: str | None) -> dict[str, str]:
    section = re.search(
        r"^Args:\n((?:[ \t]+.*\n|\n)*)", inspect.cleandoc(docstring or "") + "\n", re.MULTILINE
    )
    if section is None:
        return {}
    entries = re.split(r"^(?=\*{0,2}\w+(?: \([^)]*\))?:)", textwrap.dedent(section[1]), flags=re.MULTILINE)
    found = {}
    for entry in entries:
        name, colon, text = entry.partition(":")
        if colon:
            found[name.partition(" ")[0].strip().lstrip("*")] = " ".join(text.split())
    return found


def _first_sentence(cls: type[Any]) -> str:
    return " ".join((inspect.getdoc(cls) or cls.__name__).partition("\n\n")[0].split())


def _field(default: Any, description: str | None) -> Any:
    if default is inspect.Parameter.empty:
        return Field(..., description=description)
    return Field(_plain(default), description=description)  # pydantic copies lists


def _default(cls: type[Any], parameter: inspect.Parameter) -> Any:
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            if field.name == parameter.name and field.default_factory is not dataclasses.MISSING:
                return field.default_factory()
    return parameter.default


def _plain(value: Any) -> Any:
    """A default as a settings file would give it: sequences as lists, option dataclasses as settings."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        model = settings_model(type(value))
        return model(
            **{field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        )
    return value


def _translated(annotation: Any) -> Any:
    """The annotation as a settings file can hold it: lists for sequences, nested models for dataclasses."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[(_translated(arguments[0]), *arguments[1:])]
    if origin in _UNIONS:
        members = [_translated(each) for each in arguments]
        return Union[tuple(dict.fromkeys(members))]  # noqa: UP007
    if origin is Literal or annotation in (int, float, str, bool, type(None), Any):
        return annotation
    if origin in _SEQUENCES and arguments:
        return list[_translated(arguments[0])]  # type: ignore[misc]
    if isinstance(annotation, type) and issubclass(annotation, os.PathLike):
        return str
    if origin is os.PathLike:
        return str
    if dataclasses.is_dataclass(annotation):
        return settings_model(annotation)  # type: ignore[arg-type]
    raise TypeError(
        f"{annotation} cannot be a setting: expected numbers, text, lists or dataclasses of these"
    )


def _built(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.build()
    if isinstance(value, list):
        return [_built(each) for each in value]
    return value
