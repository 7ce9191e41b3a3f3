"""The table `[data]`: the dataset and its split."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sidkit._settings import Section, Seed

__all__ = ["DataConfig"]

_LEAST_EVENTS = Annotated[int, Field(ge=0, le=2**31 - 1)]
_SHARE = Annotated[float, Field(gt=0.0, lt=1.0)]


class DataConfig(Section):
    """Source of the data, and its split into training, validation and test."""

    source: str = "ml-100k"
    """Name of a built-in dataset, or a directory with `interactions` and `items` as Parquet or CSV."""
    columns: dict[str, str] = Field(default={})
    """Names of columns in the files, by the name that sidkit uses: `{ user_id = "reviewerID" }`."""
    min_user_events: _LEAST_EVENTS = 0
    """Remove users with fewer events (k-core, repeated until no user or item is removed)."""
    min_item_events: _LEAST_EVENTS = 0
    """Remove items with fewer events (k-core, repeated until no user or item is removed)."""
    unknown_items: Literal["error", "drop"] = "error"
    """Events whose item is not in `items`: raise an error, or drop such events."""
    split: Literal["leave_last_out", "global_time", "given", "cold_items"] = "leave_last_out"
    """`leave_last_out`: the last event of every user is the test target, the one before it the validation
    target. `global_time`: the latest events of all users. `given`: the column `split` of `interactions`.
    `cold_items`: `leave_last_out`, with a share of the items held out from training and histories."""
    validation_share: _SHARE = 0.1
    """Share of the events in the validation period (`global_time`)."""
    test_share: _SHARE = 0.1
    """Share of the events in the test period, the latest (`global_time`)."""
    share: _SHARE = 0.1
    """Share of the items that are held out (`cold_items`)."""
    ties: Literal["source", "shuffle"] = "source"
    """Order of events with tied timestamps: that of the file, or shuffled with `seed`."""
    seed: Seed = 0
    """Seed of the shuffle of tied timestamps, and of the draw of the items that are held out."""

    @model_validator(mode="after")
    def _some_events_are_left(self) -> "DataConfig":
        if self.validation_share + self.test_share >= 1:
            raise ValueError(
                "`validation_share` and `test_share` leave no events to train on: expected a sum below 1, "
                f"got {self.validation_share} + {self.test_share}"
            )
        return self
