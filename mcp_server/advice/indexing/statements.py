"""What a statement asks of its tables, and what its parameters are compared with. No I/O.

The text is one that anybody may have sent: it is read for columns that an index could have, and
nothing is run on the strength of that reading.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from mcp_server.nl2sql.database import parsed, postgres_lexer
from mcp_server.nl2sql.database.identifiers import folded

TEXT_CHARACTERS = 20_000

TableName = tuple[str, str]
"""Schema, or nothing where the text names none, and name."""
Columns = Mapping[TableName, frozenset[str]]
Place = tuple[TableName, str]
"""A table and its column."""

BEGINNINGS = frozenset({"select", "with", "values", "table", "(", "insert", "update", "delete"})
COMPARISONS = (
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
    *(exp.Between, exp.In, exp.Like, exp.ILike),
)


class NotReadError(Exception):
    """A statement for which no index can be looked for. Its text says why."""


class Compared(Enum):
    """How a parameter stands to a column."""

    EQUAL = "its value"
    AMONG = "an array that has its value"
    FROM = "where a range begins"
    TO = "where a range ends"


@dataclass(slots=True)
class Asked:
    """What a query asks of one table; columns in the order of the text, each once.

    order: each with whether it is descending, where the table's columns are all of an ORDER BY.
    """

    equal: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """What was read. asked: of tables, by place in the text. parameters: what they stand beside."""

    asked: list[tuple[TableName, Asked]] = field(default_factory=list)
    parameters: dict[int, tuple[Place, Compared]] = field(default_factory=dict)


def as_query(text: str) -> str | None:
    """The query that finds the rows of a statement; None for one that looks for none (VACUUM).

    An UPDATE or DELETE looks for the rows of its WHERE. Raises NotReadError.
    """
    if len(text) > TEXT_CHARACTERS:
        raise NotReadError(f"its text has more than {TEXT_CHARACTERS} characters")
    try:
        first = next(iter(postgres_lexer.tokens(text)), None)
    except postgres_lexer.LexicalError as error:
        raise NotReadError(f"its text cannot be read: {error}") from error
    # Of what it does not know sqlglot logs the text, and that of an ALTER ROLE holds a password.
    if first is None or first.text not in BEGINNINGS:
        return None
    match parsed.statement(text):
        case None:
            raise NotReadError("its text cannot be read")
        case exp.Query() as query:
            return None if query.find(exp.From) is None else text
        case exp.Insert(expression=exp.Query() as query):
            return None if query.find(exp.From) is None else query.sql("postgres")
        case exp.Update() | exp.Delete() as write:
            return _found_by(write)
        case _:
            return None


def _found_by(write: exp.Update | exp.Delete) -> str | None:
    where = write.args.get("where")
    if where is None:
        return None
    if not isinstance(write.this, exp.Table) or any(
        write.args.get(part) for part in ("from_", "using", "with_")
    ):
        raise NotReadError("it writes what it finds in several tables")
    return exp.select("1").from_(write.this.copy()).where(where.this.copy()).sql("postgres")


def tables_of(query: str) -> list[TableName]:
    """The tables that a query names, each once. Raises NotReadError."""
    found = [
        _named(source)
        for scope in _scopes(query)
        for _, source in scope.selected_sources.values()
        if isinstance(source, exp.Table)
    ]
    return list(dict.fromkeys(found))


def read(query: str, columns: Columns) -> Reading:
    """What a query asks of its tables. columns: of those that are tables. Raises NotReadError."""
    reading = Reading()
    for scope in _scopes(query):
        _Level(scope, columns, reading).read()
    return reading


def _scopes(query: str) -> list[Scope]:
    found = parsed.tree(query)
    if found is None:
        raise NotReadError("its text cannot be read")
    try:
        return traverse_scope(found)
    except (SqlglotError, RecursionError) as error:
        raise NotReadError("its text cannot be read") from error


def _named(table: exp.Table) -> TableName:
    return _spelled(table.args.get("db")), _spelled(table.this)


def _spelled(name: object) -> str:
    if not isinstance(name, exp.Identifier):
        return ""
    return name.name if name.args.get("quoted") else folded(name.name)


class _Level:
    """One SELECT with its FROM. own: names of its tables in it."""

    def __init__(self, scope: Scope, columns: Columns, reading: Reading) -> None:
        self._select, self._columns, self._reading = scope.expression, columns, reading
        self._own = {
            alias: _named(source)
            for alias, (_, source) in scope.selected_sources.items()
            if isinstance(source, exp.Table)
        }
        self._asked: dict[str, Asked] = {alias: Asked() for alias in self._own}

    def read(self) -> None:
        """Note what is asked of each table, and what parameters are compared with."""
        for comparison in self._select.find_all(*COMPARISONS):
            self._values(comparison)
        conditions = [self._select.args.get("where")]
        for join in self._select.args.get("joins") or ():
            conditions.append(join.args.get("on"))
            for name in join.args.get("using") or ():
                self._shared(_spelled(name))
        for condition in conditions:
            for each in _parts(condition):
                self._condition(each)
        self._order()
        self._reading.asked += [
            (self._own[alias], asked)
            for alias, asked in self._asked.items()
            if self._own[alias] in self._columns and asked != Asked()
        ]

    def _condition(self, condition: exp.Expr) -> None:
        match condition:
            case exp.EQ(this=left, expression=right):
                self._equal(left, right)
                self._equal(right, left)
            case exp.In(this=left):
                others = [*condition.expressions, condition.args.get("query")]
                self._equal(left, exp.Tuple(expressions=[each for each in others if each]))
            case exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                self._range(condition.this, condition.expression)
                self._range(condition.expression, condition.this)
            case exp.Between(this=left):
                self._range(left, condition.args["low"])
            case _:
                pass

    def _values(self, comparison: exp.Expr) -> None:
        match comparison:
            case exp.GT(this=left, expression=right) | exp.GTE(this=left, expression=right):
                self._beside(left, right, Compared.FROM)
                self._beside(right, left, Compared.TO)
            case exp.LT(this=left, expression=right) | exp.LTE(this=left, expression=right):
                self._beside(left, right, Compared.TO)
                self._beside(right, left, Compared.FROM)
            case exp.Between(this=left):
                self._beside(left, comparison.args["low"], Compared.FROM)
                self._beside(left, comparison.args["high"], Compared.TO)
            case exp.In(this=left):
                for each in comparison.expressions:
                    self._beside(left, each, Compared.EQUAL)
            case _:
                self._beside(comparison.this, comparison.expression, Compared.EQUAL)
                self._beside(comparison.expression, comparison.this, Compared.EQUAL)

    def _equal(self, side: exp.Expr, other: exp.Expr) -> None:
        if (found := self._column(side)) is None:
            return
        alias, column = found
        others = {there[0] for each in other.find_all(exp.Column) if (there := self._column(each))}
        if not others:
            _add(self._asked[alias].equal, column)
        elif alias not in others and isinstance(other, exp.Column):
            _add(self._asked[alias].joined, column)

    def _range(self, side: exp.Expr, other: exp.Expr) -> None:
        found = self._column(side)
        if found is not None and not any(map(self._column, other.find_all(exp.Column))):
            alias, column = found
            _add(self._asked[alias].ranges, column)

    def _beside(self, side: exp.Expr, value: exp.Expr, compared: Compared) -> None:
        """Note a parameter that stands alone beside a column; one within a term is not known.

        Levels are read from the innermost on, so a name there means what it means there.
        """
        if (found := self._column(side)) is None:
            return
        alias, column = found
        if isinstance(value, exp.Any):
            value, compared = value.this, Compared.AMONG
        while isinstance(value, exp.Paren | exp.Cast):
            value = value.this
        if isinstance(value, exp.Parameter) and value.name.isdigit():
            place = self._own[alias], column
            self._reading.parameters.setdefault(int(value.name), (place, compared))

    def _shared(self, column: str) -> None:
        for alias, table in self._own.items():
            if column in self._columns.get(table, ()):
                _add(self._asked[alias].joined, column)

    def _order(self) -> None:
        order = self._select.args.get("order")
        keys = [(self._column(each.this), bool(each.args.get("desc"))) for each in order or ()]
        places = {found[0] for found, _ in keys if found is not None}
        if len(places) == 1 and all(found is not None for found, _ in keys):
            asked = self._asked[places.pop()]
            asked.order = [(found[1], descending) for found, descending in keys if found]

    def _column(self, side: exp.Expr) -> tuple[str, str] | None:
        """The table, by its name here, and the column that an expression is; None if it is none."""
        if not isinstance(side, exp.Column):
            return None
        column = _spelled(side.this)
        if qualifier := _spelled(side.args.get("table")):
            alias = next((each for each in self._own if folded(each) == folded(qualifier)), None)
            known = alias is not None and column in self._columns.get(self._own[alias], ())
            return (alias, column) if known and alias is not None else None
        having = [
            alias for alias, table in self._own.items() if column in self._columns.get(table, ())
        ]
        return (having[0], column) if len(having) == 1 else None


def _parts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """What must all hold."""
    match condition:
        case None:
            return
        case exp.Where() | exp.Paren():
            yield from _parts(condition.this)
        case exp.And():
            yield from _parts(condition.this)
            yield from _parts(condition.expression)
        case _:
            yield condition


def _add(columns: list[str], column: str) -> None:
    if column not in columns:
        columns.append(column)
