"""Registries: the implementations of a concept by name, built in or installed as a plug-in.

A package that wants to be found needs one entry point and no change here:

    [project.entry-points."sidkit.recommenders"]
    markov = "shop_models:Markov"
"""

import difflib
import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from sidkit.errors import ConfigError, MissingExtraError

__all__ = ["Registry", "discover", "nearest"]

T = TypeVar("T")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the most similar valid name, or "" if none is similar."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def discover(package: str, directory: str | Path, *, skip: Collection[str] = ()) -> dict[str, str]:
    """List the implementations in a package without importing them: one module or subpackage for each.

    A module is named after its method, and the first name in its `__all__` is the class.

    Args:
        package: dotted name of the package, such as `sidkit.recommenders`.
        directory: directory of the package.
        skip: modules that are no implementations. Names that begin with `_` are always skipped.

    Returns:
        The dotted module of every method, by name, in alphabetical order.
    """
    names = sorted(module.name for module in pkgutil.iter_modules([str(directory)]))
    return {name: f"{package}.{name}" for name in names if not name.startswith("_") and name not in skip}


class Registry(Generic[T]):
    """Implementations by name; each is imported when it is first used.

    >>> RECOMMENDERS["sasrec"]
    <class 'sidkit.recommenders.sasrec.SASRec'>

    Built-in names take precedence over plug-ins of the same name.

    Args:
        group: entry-point group of third-party implementations, such as `sidkit.recommenders`.
        noun: what one implementation is called in error messages, such as `recommender`.
        builtin: `module` or `module:attribute` of every built-in, by name. Without an attribute it is the
            first name in the module's `__all__`.
    """

    def __init__(self, group: str, noun: str, builtin: Mapping[str, str]) -> None:
        self.group = group
        self.noun = noun
        self._builtin = dict(builtin)
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return the implementation of this name, imported if necessary.

        Raises:
            ConfigError: if there is no such name, or a plug-in cannot be imported or has another name.
            MissingExtraError: if an optional dependency of the implementation is not installed.
        """
        if name not in self._loaded:
            if name in self._builtin:
                self._loaded[name] = _load(self._builtin[name])
            elif name in self._plugins:
                self._loaded[name] = self._load_plugin(self._plugins[name])
            else:
                names = self.names()
                raise ConfigError(
                    f"there is no {self.noun} `{name}`: expected one of {', '.join(names)}"
                    f"{nearest(name, names)}"
                )
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._builtin or name in self._loaded or name in self._plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def names(self) -> list[str]:
        """List all names without importing anything: built-ins, registered ones, then plug-ins."""
        return list(dict.fromkeys([*self._builtin, *self._loaded, *self._plugins]))

    def register(self, name: str, implementation: T) -> T:
        """Add or replace an implementation for the life of the process, for tests and notebooks.

        Returns:
            `implementation`.
        """
        self._loaded[name] = implementation
        return implementation

    def unregister(self, name: str) -> None:
        """Remove what `register` added; a built-in of the same name comes back."""
        self._loaded.pop(name, None)

    @cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        return {entry.name: entry for entry in entry_points(group=self.group)}

    def _load_plugin(self, entry: EntryPoint) -> Any:
        try:
            implementation = entry.load()
        except MissingExtraError:
            raise
        except (ImportError, AttributeError) as error:
            source = entry.dist.name if entry.dist is not None else "an unknown package"
            raise ConfigError(
                f"the {self.noun} `{entry.name}` of the plug-in `{source}` cannot be imported from "
                f"`{entry.value}`: {error}. Reinstall or repair the plug-in."
            ) from error
        method = getattr(implementation, "method", entry.name)
        if method != entry.name:
            raise ConfigError(
                f"the {self.noun} of the entry point `{entry.name}` ({entry.value}) has another name: "
                f"expected `method = {entry.name!r}`, got {method!r}. Rename the entry point or the method."
            )
        return implementation


def _load(reference: str) -> Any:
    module_name, _, attribute = reference.partition(":")
    module = import_module(module_name)
    return getattr(module, attribute or module.__all__[0])
