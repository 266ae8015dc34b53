"""What is known of a database: tables, columns, keys, and the text values that people name."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

from mcp_server.nl2sql.words.tokens import lemma


class Kind(Enum):
    """What a column's values are like, as far as questions care."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    BOOLEAN = "boolean"
    OTHER = "other"


NUMBERED = frozenset(
    (word,) for word in ("id", "number", "no", "nbr", "code", "zip", "postcode", "phone", "year")
)
"""Last words of the names of columns whose numbers only tell things apart."""


PARTS_OF_DATES = frozenset({"weekday", "month", "hour", "decade", "decade of years"})
METRIC = "metric"
"""How a measure of the user's comes of columns: by an aggregate over them, which `unit` has."""
SCALED = "scaled"
"""How a column comes of another: so many times as much, which `unit` has."""


@dataclass(frozen=True, slots=True)
class Synonym:
    """Words of the user's, as lemmas, and the words of the schema that they stand for."""

    words: tuple[str, ...]
    stands_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """How a computed column comes of others. how: a name that `sql/derived.py` knows."""

    how: str
    of: "tuple[Column, ...]"
    unit: str = ""


@dataclass(slots=True, eq=False)
class Column:
    """One column. `distinct` is an estimate; `numeric_text`: text whose values are numbers.

    base: the type, or of a domain the type that it is over, where it is counted or compared.
    """

    table: "Table"
    name: str
    type: str
    kind: Kind
    comment: str = ""
    primary: bool = False
    foreign: bool = False
    within: "Column | None" = None
    """The key of the same table that it refers to: an employee's manager is an employee."""
    unique: bool = False
    full: bool = False
    """Whether no row may lack it."""
    distinct: int = 0
    numeric_text: bool = False
    year_like: bool = False
    low: float | None = None
    high: float | None = None
    """The range of a column of numbers, as far as the sample goes."""
    sorts_as_text: bool = False
    """Text whose numbers are all written alike, so that they sort as text as well."""
    values: dict[str, str] = field(default_factory=dict)
    dated_text: str = ""
    """The type that its texts have to be turned into, where all of them are days or times."""
    shapes: frozenset[str] = frozenset()
    """How its texts are written (`shape_of`), where all are in few ways and have digits."""
    words: tuple[str, ...] = ()
    base: str = ""
    made: Made | None = None
    """How it is computed, where no table has it."""
    aliases: tuple[tuple[str, ...], ...] = ()
    """What else it is called, each in words."""

    def __repr__(self) -> str:
        return f"{self.table.name}.{self.name}"

    @property
    def tables(self) -> "Iterator[Table]":
        """Its table, and those of the columns that it is computed from."""
        yield self.table
        for part in self.made.of if self.made is not None else ():
            yield from part.tables

    @property
    def cast(self) -> str:
        """The type that its values have to be turned into before they are counted with, if any."""
        return "double precision" if self.numeric_text else "numeric" * (self.base == "money")

    @property
    def measured(self) -> bool:
        """Whether it is a metric: of many rows, and not of each."""
        return self.made is not None and self.made.how == METRIC

    @property
    def lasts(self) -> bool:
        """Whether it is the time between two dates."""
        return self.made is not None and self.made.how in ("days", "duration")

    @property
    def tells_when(self) -> bool:
        """Whether it is a part of a date, an hour or a weekday, of which no sum makes sense."""
        return self.made is not None and self.made.how in PARTS_OF_DATES

    @property
    def counts(self) -> bool:
        """Whether comparisons with numbers make sense."""
        return self.kind is Kind.NUMBER or self.numeric_text

    @property
    def only_numbered(self) -> bool:
        """Whether it is called a number that only tells things apart, and no year."""
        return self.words[-1:] in NUMBERED and "year" not in self.words

    @property
    def adds_up(self) -> bool:
        """Whether a sum makes sense: not of keys, of years and of card numbers."""
        if self.measured:
            return False
        if self.tells_when:
            return False
        named = self.primary or self.foreign or self.words[-1:] in NUMBERED
        return self.counts and not named and not self.year_like


@dataclass(slots=True, eq=False)
class Table:
    """A table with its columns and what was counted."""

    schema: str
    name: str
    comment: str = ""
    rows: int = 0
    view: bool = False
    columns: list[Column] = field(default_factory=list)
    words: tuple[str, ...] = ()
    display: tuple[Column, ...] = ()
    """What its rows are shown by, where the user says."""
    default_filter: str = ""
    """What its rows must meet where a question says nothing of it: an expression of the user's."""
    told: str = ""
    """What else the user says of it, in plain words; for a prompt."""

    def __repr__(self) -> str:
        return self.name

    @property
    def key(self) -> Column | None:
        """The single column that identifies a row, where there is one."""
        keys = [column for column in self.columns if column.primary]
        if len(keys) == 1:
            return keys[0]
        unique = [column for column in self.columns if column.unique]
        return unique[0] if unique and not keys else None

    def column(self, name: str) -> Column | None:
        """A column by name; None if there is none."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`column` refers to `target`. inferred: found by names and values, not declared.

    beside: of a key of several columns, the others, each with what it refers to.
    """

    column: Column
    target: Column
    inferred: bool = False
    beside: tuple[tuple[Column, Column], ...] = ()

    @property
    def pairs(self) -> tuple[tuple[Column, Column], ...]:
        """All columns, each with what it refers to."""
        return (self.column, self.target), *self.beside


@dataclass(slots=True)
class Profile:
    """All that the translator knows of a database."""

    tables: list[Table]
    foreign_keys: list[ForeignKey]
    value_index: dict[str, list[tuple[Column, str]]] = field(default_factory=dict)
    derived: list[Column] = field(default_factory=list)
    """Columns that no table has, but that can be computed."""
    synonyms: tuple[Synonym, ...] = ()
    hidden: frozenset[tuple[str, str]] = frozenset()
    """Schemas and names of tables that the user keeps out of questions; without a schema too, where
    the name alone means such a table.
    """

    @property
    def columns(self) -> Iterator[Column]:
        """The columns of all tables."""
        for table in self.tables:
            yield from table.columns

    def says(self, word: str) -> bool:
        """Whether a word is of a name, or a text of the database."""
        named = {each for table in self.tables for each in table.words}
        named.update(each for column in self.columns for each in column.words)
        return bool({word, lemma(word)} & named) or word in self.value_index

    def holds(self, text: str) -> bool:
        """Whether a text of the database has these words in it, side by side."""
        whole = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        return any(text in each and whole.search(each) for each in self.value_index)

    def shows(self, word: str) -> bool:
        """Whether a word is of the name of a column that says more than yes or no."""
        said = {word, lemma(word)}
        return any(
            said & set(column.words) for column in self.columns if column.kind is not Kind.BOOLEAN
        )

    def named(self, schema: str, name: str) -> Table | None:
        """The table that a name means; without a schema, the first on the search path."""
        return next((t for t in self.tables if t.name == name and schema in ("", t.schema)), None)

    def only(self, kept: Collection[Table]) -> "Profile":
        """The same of some of its tables, and of what leads from one of them to another."""
        return replace(
            self,
            tables=[table for table in self.tables if table in kept],
            foreign_keys=[
                key
                for key in self.foreign_keys
                if key.column.table in kept and key.target.table in kept
            ],
            value_index={
                text: there
                for text, held in self.value_index.items()
                if (there := [each for each in held if each[0].table in kept])
            },
            derived=[column for column in self.derived if column.table in kept],
        )
