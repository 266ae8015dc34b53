"""The logical form of a question: what to show, of which rows, in which order. No SQL yet."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.words.spans import Unit

Aggregate = Literal["count", "sum", "avg", "min", "max", "median", "stddev", "variance", "metric"]
"""`metric`: a column that aggregates by itself."""
Operator = Literal["=", "<>", "<", "<=", ">", ">="]
Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the answer. column None with `count`: rows of `table`."""

    column: Column | None
    aggregate: Aggregate | None = None
    distinct: bool = False
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """column operator value; the value may be a scalar, or a column of some row."""

    column: Column
    operator: Operator
    value: "Scalar | Column | Nested | Referred"


@dataclass(frozen=True, slots=True)
class Nested:
    """An aggregate over rows of a column's table: `(select avg(c) from t where ...)`.

    aggregate None: any of the column's values there. within: only of rows that have the same there
    as the row that is compared. factor: what the aggregate is taken times.
    """

    aggregate: Aggregate | None
    column: Column
    where: "tuple[Condition, ...]" = ()
    within: Column | None = None
    factor: float = 1


@dataclass(frozen=True, slots=True)
class Referred:
    """A column of the row of the same table that `by` refers to: the manager's salary."""

    column: Column
    by: Column


@dataclass(frozen=True, slots=True)
class Between:
    """A column between two values, both included."""

    column: Column
    low: Scalar
    high: Scalar


@dataclass(frozen=True, slots=True)
class Aged:
    """So many years have passed since a date: older than 40."""

    column: Column
    operator: Operator
    years: int | float


@dataclass(frozen=True, slots=True)
class Like:
    """A column whose text has a pattern."""

    column: Column
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Null:
    """A column without a value."""

    column: Column
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """Rows of the subject that have (or, negated, have not) rows of `table` that meet `where`."""

    table: Table
    where: tuple["Condition", ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ranked:
    """Rows of the subject whose row of `table` is among the first `count` in an order."""

    table: Table
    order: "Order"
    count: int = 1


@dataclass(frozen=True, slots=True)
class Frequent:
    """The column has one of the values that most (or fewest) rows of its table have."""

    column: Column
    descending: bool
    count: int = 1


@dataclass(frozen=True, slots=True)
class Often:
    """Rows of the subject that have so many rows of `table`. of: or different values of that."""

    table: Table
    operator: Operator
    value: Scalar
    of: Column | None = None


Condition: TypeAlias = (
    Aged | Compare | Between | Like | Null | AnyOf | Linked | Ranked | Frequent | Often
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Having:
    """A condition on groups: count of rows of `table`, or an aggregate of a column.

    distinct: of its different values.
    """

    operator: Operator
    value: Scalar
    aggregate: Aggregate = "count"
    column: Column | None = None
    table: Table | None = None
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key: a column, an aggregate of one, or the count of rows of `table`."""

    descending: bool
    column: Column | None = None
    aggregate: Aggregate | None = None
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """The year, month, ... that a date or a time is in."""

    column: Column
    unit: Unit


@dataclass(frozen=True, slots=True)
class Filtered:
    """A measure of those rows alone that meet conditions."""

    output: Output
    where: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """What another query finds: one value."""

    query: "Query"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two columns, or two measures, and an operator between them."""

    operator: Literal["-", "+", "*", "/"]
    left: Output | Filtered | Whole
    right: Output | Filtered | Whole


@dataclass(frozen=True, slots=True)
class ShareOf:
    """How many of a hundred rows meet the conditions of the query, or without any are of a group.

    whole: the column whose total is shared out. part: the one whose total is a part of that.
    """

    whole: Column | None = None
    part: Column | None = None


@dataclass(slots=True)
class Query:
    """periods: of dates; shown, grouped by, and in their order if there is no other.
    ties: those that share the last place are shown too. offset: so many of the first are not.
    via: tables to join the others through, where several ways lead from one to another.
    per: the first `limit` rows of the order are those of each group of these columns.
    each: conditions that hold of several rows of a thing, not of one; a reading resolves them.
    """

    subject: Table | None = None
    select: list[Output] = field(default_factory=list)
    computed: list[Arithmetic | Filtered | ShareOf] = field(default_factory=list)
    where: list[Condition] = field(default_factory=list)
    group: list[Column] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    group_tables: list[Table] = field(default_factory=list)
    having: list[Having] = field(default_factory=list)
    order: list[Order] = field(default_factory=list)
    limit: int | None = None
    ties: bool = False
    offset: int = 0
    distinct: bool = False
    via: list[Table] = field(default_factory=list)
    per: list[Column] = field(default_factory=list)
    each: list[Compare] = field(default_factory=list)
    combine: tuple[Literal["intersect", "except", "union"], "Query"] | None = None
