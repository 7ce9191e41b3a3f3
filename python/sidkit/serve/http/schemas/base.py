"""Types that several bodies share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

__all__ = ["Answer", "Body", "FieldName", "ItemId"]

ItemId = (
    Annotated[StrictInt, Field(ge=-(2**63), le=2**64 - 1)]
    | Annotated[StrictStr, Field(min_length=1, max_length=256)]
)
FieldName = Annotated[str, Field(min_length=1, max_length=128)]


class Body(BaseModel):
    """Body of a request: no conversions between types, and no unknown fields."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True, frozen=True
    )


class Answer(BaseModel):
    """Body of an answer."""

    model_config = ConfigDict(use_attribute_docstrings=True, protected_namespaces=())


def example(value: dict[str, Any]) -> ConfigDict:
    """Return the settings of a body with an example."""
    return ConfigDict(json_schema_extra={"examples": [value]})
