import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from sidkit.cli.groups import with_groups


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--width", min=1)] = 2
    name: Annotated[str | None, typer.Option("--name")] = None


WIDE = Size(width=9)


def shown(size, loud):
    typer.echo(f"{size.width} {size.name} {loud}")


def plain(first: str, size: Size, loud: bool = False) -> None:
    """Help of the command."""
    shown(size, loud)


def wide(first: str, size: Size = WIDE, loud: bool = False) -> None:
    shown(size, loud)


@pytest.mark.parametrize(
    ("command", "arguments", "wanted"),
    [
        (plain, [], "2 None False"),
        (plain, ["--name", "a", "--loud"], "2 a True"),
        (wide, [], "9 None False"),
        (wide, ["--width", "3"], "3 None False"),
    ],
)
def test_fields_are_options(command, arguments, wanted):
    app = typer.Typer()
    app.command()(with_groups(command))
    result = CliRunner().invoke(app, ["x", *arguments])
    assert (result.exit_code, result.output) == (0, f"{wanted}\n")
    assert CliRunner().invoke(app, ["x", "--width", "0"]).exit_code == 2


def test_fields_stand_in_the_place_of_their_group():
    command = with_groups(plain)
    assert list(inspect.signature(command).parameters) == ["first", "width", "name", "loud"]
    assert command.__doc__ == "Help of the command."
