"""What a document of semantics says, as it was read; nothing here is checked against a schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure by its name. sql: an aggregate over columns of its table, as PostgreSQL has it."""

    name: str
    sql: str
    synonyms: tuple[str, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A column, what else it is called, and what its codes stand for."""

    name: str
    column: str
    synonyms: tuple[str, ...] = ()
    legend: Mapping[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class Cube:
    """All that is said of one table.

    table: as a query writes it. display: the columns that a row is shown by. default_filter: what
    rows must meet where a question says nothing of the columns in it.
    """

    name: str
    table: str
    hidden: bool = False
    synonyms: tuple[str, ...] = ()
    display: tuple[str, ...] = ()
    default_filter: str = ""
    description: str = ""
    metrics: tuple[Metric, ...] = ()
    dimensions: tuple[Dimension, ...] = ()


@dataclass(frozen=True, slots=True)
class Semantics:
    """What one document says."""

    cubes: tuple[Cube, ...] = ()
