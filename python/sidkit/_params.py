"""Parameters of estimators: constructor arguments that can be read and changed, as in scikit-learn."""

import inspect
from typing import Any, TypeVar

from sidkit._registry import nearest
from sidkit.errors import ConfigError

__all__ = ["Parameters"]

_Estimator = TypeVar("_Estimator", bound="Parameters")


class Parameters:
    """Mixin of estimators whose parameters are the arguments of their constructor.

    A constructor stores every argument, unchanged, in an attribute of the same name. `get_params`,
    `set_params` and `repr` are derived from its signature, and `sklearn.base.clone` and
    `sklearn.pipeline.Pipeline` work with such estimators. A value that is an estimator itself, or any object
    with `get_params`, has its own parameters under `<name>__<parameter>`.
    """

    @classmethod
    def _signature(cls) -> dict[str, inspect.Parameter]:
        """The constructor's parameters by name."""
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return {
            name: one for name, one in inspect.signature(cls).parameters.items() if one.kind not in variadic
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Args:
            deep: include the parameters of values that have parameters themselves, as
                `<name>__<parameter>`.
        """
        found = {name: getattr(self, name) for name in self._signature()}
        if deep:
            for name, value in list(found.items()):
                if hasattr(value, "get_params") and not isinstance(value, type):
                    found |= {f"{name}__{inner}": one for inner, one in value.get_params().items()}
        return found

    def set_params(self: _Estimator, **params: Any) -> _Estimator:
        """Change parameters in place; nothing changes if one of them is invalid.

        Args:
            **params: new values by name; `<name>__<parameter>` sets a parameter of a value.

        Returns:
            The estimator itself. What it has learned is kept: call `fit` again for parameters that matter
            to learning.

        Raises:
            ConfigError: if there is no such parameter, or the constructor refuses a value.
        """
        changed = self.get_params(deep=False)
        nested: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            outer, separator, inner = name.partition("__")
            if outer not in changed or (separator and not hasattr(changed[outer], "set_params")):
                raise ConfigError(
                    f"unknown parameter: expected one of {', '.join(changed)}, got `{name}`"
                    f"{nearest(name, changed)}."
                )
            if separator:
                nested.setdefault(outer, {})[inner] = value
            else:
                changed[name] = value
        fresh = type(self)(**changed)  # checks the values
        for outer, inner_params in nested.items():
            changed[outer].set_params(**inner_params)
        self.__dict__.update(fresh.__dict__)
        return self

    def __repr__(self) -> str:
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, one in self._signature().items()
            if not _equal(getattr(self, name), one.default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """Describe the estimator to scikit-learn; asked by its pipelines only."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))


def _equal(value: Any, default: Any) -> bool:
    """True if a parameter has its default value; values without a truth of `==` are compared by identity."""
    try:
        return bool(value == default)
    except ValueError:
        return value is default
