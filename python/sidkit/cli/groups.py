"""Options that several verbs take together, as one dataclass instead of many parameters."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any

__all__ = ["with_groups"]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Present a command to typer as if every field of its dataclasses were a parameter.

    A parameter annotated with a dataclass is a group of options: typer sees the fields, annotated as any
    option, in its place, and the command receives the dataclass. Defaults of the fields come from the default
    of the parameter, if it has one, and otherwise from the dataclass.
    """
    signature = inspect.signature(command)
    groups: dict[str, type[Any]] = {}
    shown: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        group = parameter.annotation
        if not (isinstance(group, type) and is_dataclass(group)):
            shown.append(parameter)
            continue
        groups[parameter.name] = group
        defaults = group() if parameter.default is parameter.empty else parameter.default
        shown += [
            parameter.replace(name=field.name, annotation=field.type, default=getattr(defaults, field.name))
            for field in fields(group)
        ]

    @wraps(command)
    def spread(**arguments: Any) -> None:
        for name, group in groups.items():
            arguments[name] = group(**{field.name: arguments.pop(field.name) for field in fields(group)})
        command(**arguments)

    spread.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return spread
