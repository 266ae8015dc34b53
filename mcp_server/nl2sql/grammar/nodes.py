"""What phrases of a question say, before it is known which columns are meant.

Places are numbers of symbols; a place of None means that the phrase names nothing there.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mcp_server.nl2sql.sql.logical import Aggregate, Operator
from mcp_server.nl2sql.words.spans import Unit

Place: TypeAlias = int | None


@dataclass(frozen=True, slots=True)
class Show:
    """A column of the answer, or an aggregate of one."""

    at: int
    aggregate: Aggregate | None = None
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows of a table, or values of a column. at None: how often."""

    at: Place
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """The percentage of rows that meet the conditions behind it, or that a group has of all.

    of: a column whose total is shared out. part: another, for what of it is meant.
    """

    at: int
    of: Place = None
    part: Place = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Arithmetic between two columns of a row, or two aggregates."""

    operator: Literal["-", "+", "*", "/"]
    left: Show
    right: Show


@dataclass(frozen=True, slots=True)
class Lasting:
    """The time from one date to another, in a unit."""

    unit: str
    start: int
    end: int
    aggregate: Aggregate | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """Two columns of a row, multiplied or otherwise put together; a measure of that."""

    operator: str
    left: int
    right: int
    aggregate: Aggregate | None = None


@dataclass(frozen=True, slots=True)
class Weighted:
    """The average of one column of a row by the weight that another has."""

    at: int
    weight: int


@dataclass(frozen=True, slots=True)
class Entity:
    """Rows of a table are spoken of. owner: what is shown before belongs to them."""

    at: int
    owner: bool = False


@dataclass(frozen=True, slots=True)
class Called:
    """Beside the rows of one table, what the rows of another that go with them are called by."""

    at: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A comparison with a number or a date. hints: what the column may be called."""

    at: Place
    operator: Operator
    value: int
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Numbered:
    """The row of a table whose key is a number."""

    at: int
    value: int


@dataclass(frozen=True, slots=True)
class Range:
    """A column between two values."""

    at: Place
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Equal:
    """Values, of a named column or of any that holds them. joint: the word between them."""

    at: Place
    values: tuple[int, ...]
    negated: bool = False
    joint: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A text that a column contains, starts with or ends with."""

    at: Place
    how: str
    text: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """A column without a value, or with any."""

    at: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Flag:
    """A column that says yes or no, as an adjective: the retired employees."""

    at: int
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Something that rows have: rows of another table that refer to them by this column."""

    at: int


@dataclass(frozen=True, slots=True)
class InBoth:
    """What is shown is found with the rows of two tables alike, or (union) of either."""

    one: int
    other: int
    how: Literal["intersect", "union"] = "intersect"


@dataclass(frozen=True, slots=True)
class Limit:
    """How many rows of an order are wanted."""

    count: int


@dataclass(frozen=True, slots=True)
class Nth:
    """Not the first of an order, but the one at this place."""

    at: int


@dataclass(frozen=True, slots=True)
class HowMany:
    """A condition on the number of rows of a table. value: a symbol, or None for one.

    distinct: on how many different ones there are.
    """

    at: Place
    operator: Operator
    value: Place
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Total:
    """A condition on an aggregate of a group."""

    at: int
    aggregate: Aggregate
    operator: Operator
    value: int


@dataclass(frozen=True, slots=True)
class Absent:
    """There are no rows of a table, or none that meet the conditions behind it."""

    at: int


@dataclass(frozen=True, slots=True)
class Rank:
    """The first of an order. at: a column or, counted, a table. count: a symbol, None for one.

    relative: said of something named before. counting: `most`, which no date can be.
    """

    descending: bool
    at: Place
    count: Place = None
    aggregate: Aggregate | None = None
    hints: tuple[str, ...] = ()
    relative: bool = False
    counting: bool = False


@dataclass(frozen=True, slots=True)
class Common:
    """The most frequent value of a column, or the row that is spoken of most."""

    descending: bool
    at: Place
    count: Place = None


@dataclass(frozen=True, slots=True)
class Group:
    """counted: where nothing is measured of the groups, their rows are counted."""

    at: int
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Per:
    """Groups by the year, month, ... of a date. at: the date, if it is named."""

    unit: Unit
    at: Place


@dataclass(frozen=True, slots=True)
class Sort:
    """Ordered by a column, or by a measure of it."""

    at: Place
    descending: bool
    aggregate: Aggregate | None = None
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beyond:
    """A comparison with an aggregate of a column: above the average. within: of those rows alone
    that go with the same one of something, *their* department. factor: twice the average.
    """

    at: Place
    operator: Operator
    aggregate: Aggregate
    of: Place
    hints: tuple[str, ...] = ()
    within: Place = None
    factor: float = 1


@dataclass(frozen=True, slots=True)
class BeyondRow:
    """A comparison with a row that is named: older than Ann."""

    at: Place
    operator: Operator
    value: int
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Columns:
    """A comparison of two columns of a row."""

    at: int
    operator: Operator
    other: int


@dataclass(frozen=True, slots=True)
class SameAs:
    """Rows that agree in a column with the rows of a value."""

    at: int
    value: int


@dataclass(frozen=True, slots=True)
class Under:
    """Rows that refer, by a column, to rows of their own table which are called so."""

    at: int
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Joint:
    """A word between phrases."""

    kind: str


Node: TypeAlias = (
    Show | Count | Share | Difference | Lasting | Product | Weighted | Entity | Called | Bound
    | Numbered | Range | Equal | Match | Missing | Flag | Held | InBoth | Limit | Nth | HowMany
    | Total | Absent | Rank | Common | Group | Per | Sort | Beyond | BeyondRow | Columns | SameAs
    | Under | Joint
)  # fmt: skip
