"""The table `[recommenders]`: which recommenders are trained, and the options of each."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, SerializeAsAny, model_serializer, model_validator

from sidkit._registry import Registry, nearest
from sidkit._settings import Section
from sidkit.recommenders.registry import RECOMMENDERS
from sidkit.run.config.by_method import MethodSettings, settings_by_method

__all__ = ["RecommenderConfig", "RecommendersConfig"]

_DEFAULT = ("popularity", "sasrec", "rqtransformer")


class RecommenderConfig(MethodSettings):
    """Settings of one recommender; see its class."""

    registry: ClassVar[Registry[Any]] = RECOMMENDERS


def _table(values: Any) -> RecommenderConfig:
    return settings_by_method(values, RecommenderConfig, default="")


class RecommendersConfig(Section):
    """`use`, and one table per name: `[recommenders.sasrec]`.

    A table is of the method of the same name, or of the one that it names as `method`, so that two variants
    of one method can be trained in one run.
    """

    use: tuple[str, ...] = _DEFAULT
    """Names of the recommenders, in the order of training; a list, one name, or names separated by commas."""
    tables: dict[str, Annotated[SerializeAsAny[RecommenderConfig], PlainValidator(_table)]] = Field(
        default={}
    )
    """Settings by name; those of every name in `use`, and of any other that was given."""

    def __getitem__(self, name: str) -> RecommenderConfig:
        """Settings of one recommender, which need not be in `use`.

        Raises:
            ConfigError: if `name` is neither a table nor a method.
        """
        return self.tables[name] if name in self.tables else _table({"method": name})

    @model_validator(mode="before")
    @classmethod
    def _from_flat(cls, values: Any) -> Any:
        """Move the tables of the file one level down, and add those of `use` that are missing."""
        if not isinstance(values, Mapping) or isinstance(values.get("tables"), Mapping):
            return values
        use = _names(values.get("use", _DEFAULT))
        given = {str(name): table for name, table in values.items() if name != "use"}
        for name, table in given.items():
            if not isinstance(table, Mapping | RecommenderConfig):
                raise ValueError(
                    f"`{name}` must be a table of settings, it is {table!r}"
                    if name in RECOMMENDERS
                    else _unknown(name)
                )
        tables = {name: given.get(name, {}) for name in dict.fromkeys([*use, *given])}
        for name, table in tables.items():
            if isinstance(table, Mapping):
                tables[name] = {"method": name, **table}
                if "method" not in table and name not in RECOMMENDERS:
                    raise ValueError(_unknown(name))
        return {"use": use, "tables": tables}

    @model_validator(mode="after")
    def _each_once(self) -> "RecommendersConfig":
        if not self.use or len(set(self.use)) != len(self.use):
            raise ValueError(
                f"`use` must name at least one recommender and each at most once, it is {list(self.use)}"
            )
        return self

    @model_serializer(mode="wrap")
    def _flat(self, handler: Any) -> dict[str, Any]:
        found = handler(self)
        return {"use": list(found["use"]), **found["tables"]}


def _names(use: Any) -> tuple[str, ...]:
    names = use.split(",") if isinstance(use, str) else use
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"`use` must be a list of names, one name, or names separated by commas, it is {use!r}"
        )
    return tuple(name.strip() for name in names)


def _unknown(name: str) -> str:
    names = RECOMMENDERS.names()
    if hint := nearest(name, ["use", *names]):
        return f"there is no recommender `{name}`{hint}"
    return (
        f"there is no recommender `{name}`; expected one of {', '.join(names)}, or a table with a `method`: "
        f"recommenders.{name}.method"
    )
