"""Settings models: everything they say comes from the class that they configure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from sidkit._settings import Count, Fraction, Settings, descriptions, settings_model


@dataclass(frozen=True)
class Gumbel:
    """Mixtures of codewords."""

    kind: Literal["gumbel"] = "gumbel"
    """The estimator."""
    temperature: float = 1.0
    """Softness of the mixtures
    at first."""


@dataclass(kw_only=True)
class Training:
    """Options of every training."""

    epochs: Annotated[float, Field(gt=0)] = 3.0
    """Passes over the data."""
    rates: list[float] = field(default_factory=lambda: [0.1, 0.2])
    """One a phase."""


@dataclass(kw_only=True)
class Model(Training):
    """A model of everything. It has more to say.

    Args:
        width: overridden by the attribute's own words.
    """

    method = "everything"
    width: Count = 8
    """Units."""
    epochs: float = 5.0
    """Passes over all histories."""
    estimator: Literal["plain"] | Gumbel = "plain"
    """The gradient estimator."""


class Tokenizer:
    """A tokenizer.

    Args:
        levels: codes per item,
            on two lines.
        sizes (int): one number, or one a level.
        start: a `NamedVector` of x: the start.

    Attributes:
        levels: not this one.
    """

    method = "tokens"

    def __init__(
        self,
        levels: int,
        *,
        sizes: int | Sequence[int] = (4, 2),
        start: str | None = None,
        share: Fraction = 0.5,
        threads: int | None = None,
    ) -> None:
        self.given = {"levels": levels, "sizes": sizes, "start": start, "share": share}


def test_fields_are_the_constructors_arguments():
    model = settings_model(Tokenizer)
    assert list(model.model_fields) == ["method", "levels", "sizes", "start", "share"]
    assert model(levels=3).model_dump() == {
        "method": "tokens",
        "levels": 3,
        "sizes": [4, 2],
        "start": None,
        "share": 0.5,
    }
    with pytest.raises(ValidationError, match="levels"):
        model()
    assert settings_model(Tokenizer) is model
    assert "threads" in settings_model(Tokenizer, exclude=()).model_fields


def test_the_object_is_built_from_its_settings():
    built = settings_model(Tokenizer)(levels=3, sizes=[8, 8, 2]).build()
    assert isinstance(built, Tokenizer)
    assert built.given == {"levels": 3, "sizes": (8, 8, 2), "start": None, "share": 0.5}
    assert settings_model(Tokenizer)(levels=3, sizes=8).build().given["sizes"] == 8


def test_descriptions_come_from_the_docstrings():
    assert descriptions(Tokenizer) == {
        "levels": "codes per item, on two lines.",
        "sizes": "one number, or one a level.",
        "start": "a `NamedVector` of x: the start.",
    }
    assert descriptions(Model) == {
        "width": "Units.",
        "epochs": "Passes over all histories.",
        "rates": "One a phase.",
        "estimator": "The gradient estimator.",
    }
    fields = settings_model(Model).model_fields
    assert fields["rates"].description == "One a phase."
    assert fields["method"].description == "A model of everything. It has more to say."


def test_options_in_small_dataclasses():
    model = settings_model(Model)
    plain, mixed = model(), model.model_validate({"estimator": {"temperature": 0.5}})
    assert plain.build() == Model() and plain.epochs == 5.0
    assert mixed.build() == Model(estimator=Gumbel(temperature=0.5))
    assert mixed.model_dump()["estimator"] == {"kind": "gumbel", "temperature": 0.5}
    assert model.model_validate(mixed.model_dump()) == mixed
    with pytest.raises(ValidationError, match="unknown setting"):
        model.model_validate({"estimator": {"temprature": 0.5}})


def test_defaults_that_are_lists_are_not_shared():
    first, second = settings_model(Model)(), settings_model(Model)()
    first.rates.append(0.3)
    assert second.rates == [0.1, 0.2]


def test_defaults_that_are_objects():
    @dataclass
    class Holder:
        option: Gumbel | None = Gumbel(temperature=2.0)

    settings = settings_model(Holder)()
    assert settings.model_dump() == {"option": {"kind": "gumbel", "temperature": 2.0}}
    assert settings.build() == Holder()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"width": 0}, "greater than or equal to 1"),
        ({"width": 8.0}, "valid integer"),
        ({"epochs": "3"}, "valid number"),
        ({"epochs": float("inf")}, "finite"),
        ({"method": "nothing"}, "everything"),
        ({"widht": 3}, "unknown setting"),
    ],
)
def test_values_are_checked(values, said):
    with pytest.raises(ValidationError, match=re.escape(said)):
        settings_model(Model).model_validate(values)


def test_an_unknown_key_comes_with_the_nearest_valid_one():
    with pytest.raises(ValidationError) as caught:
        settings_model(Model).model_validate({"widht": 3, "xyz": 1})
    first, second = caught.value.errors()
    assert (first["loc"], first["ctx"]["hint"]) == (("widht",), "; did you mean `width`?")
    assert (second["loc"], second["ctx"]["hint"]) == (("xyz",), "")


def test_a_base_brings_fields_of_its_own():
    class Stage(Settings):
        vectors: Literal["content", "hybrid"] = "content"
        """What is tokenized."""

    model = settings_model(Tokenizer, Stage)
    settings = model(levels=2, vectors="hybrid")
    assert next(iter(settings.model_dump())) == "vectors" and issubclass(model, Stage)
    assert "vectors" not in settings.arguments() and settings.build().given["levels"] == 2


def test_arguments_that_no_file_can_hold():
    class Odd:
        def __init__(self, on_step: Callable[[], None]) -> None:
            pass

    class Bare:
        def __init__(self, width) -> None:
            pass

    with pytest.raises(TypeError, match="cannot be a setting"):
        settings_model(Odd)
    with pytest.raises(TypeError, match="argument `width` has no annotation"):
        settings_model(Bare)
    assert list(settings_model(Odd, exclude=["on_step"]).model_fields) == []
