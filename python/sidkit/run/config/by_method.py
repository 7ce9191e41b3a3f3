"""Unions discriminated by `method`, over whatever a registry holds."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from sidkit._registry import Registry, nearest
from sidkit._settings import Settings, settings_model

__all__ = ["MethodSettings", "settings_by_method"]

_Settings = TypeVar("_Settings", bound="MethodSettings")


class MethodSettings(Settings):
    """Settings of an implementation out of a registry; a setting of another method is an error."""

    registry: ClassVar[Registry[Any]]

    method: str = ""

    @classmethod
    def _advice(cls, key: str) -> dict[str, Any]:
        if hint := nearest(key, cls.model_fields):
            return {"hint": hint}
        method = cls.model_fields["method"].default
        others = [name for name in cls.registry if name != method and key in _settings_of(cls.registry, name)]
        if not others:
            return {"hint": ""}
        names = ", ".join(f"`{name}`" for name in others)
        return {"hint": f" for the method `{method}`, only for {names}"}


def settings_by_method(values: Any, base: type[_Settings], *, default: str) -> _Settings:
    """Check one table of settings against the method that it names.

    Args:
        values: the table, or settings that are checked already.
        base: parent of the settings' model, whose `registry` knows the methods.
        default: method of a table that names none.

    Returns:
        Settings with every default filled in.

    Raises:
        ConfigError: if there is no such method, or it refuses the combination of values.
        pydantic.ValidationError: if a key is unknown, or a value out of range.
    """
    if isinstance(values, base):
        return values
    if not isinstance(values, Mapping):
        raise ValueError(f"expected a table of settings, got {values!r}")
    method = values.get("method", default)
    if not isinstance(method, str):
        raise ValueError(f"expected the name of a {base.registry.noun} as `method`, got {method!r}")
    settings = settings_model(base.registry[method], base).model_validate({**values, "method": method})
    built = settings.build()
    if check := getattr(built, "check_settings", None):
        check()
    return settings


def _settings_of(registry: Registry[Any], method: str) -> Mapping[str, Any]:
    try:
        return settings_model(registry[method]).model_fields
    except ImportError:  # an extra is not installed
        return {}
