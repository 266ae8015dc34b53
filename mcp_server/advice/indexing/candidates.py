"""Indexes that may help a query, from what it asks of its tables; values to try it with. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mcp_server.advice.indexing.statements import Asked, Compared, Place
from mcp_server.nl2sql.database import postgres_lexer
from mcp_server.nl2sql.database.identifiers import written

COLUMNS_MAX = 4
"""Of one index: each makes it larger, and writes slower."""
OF_A_TABLE = 4
"""Candidates that one query has for one table."""

Key = tuple[str, bool]
"""A column, and whether it is descending."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a catalog says of a table. indexed: the first columns of each of its indexes."""

    schema: str
    name: str
    columns: frozenset[str]
    rows: float
    pages: int
    partitioned: bool
    indexed: Sequence[Sequence[str]]

    @property
    def written(self) -> str:
        """Its name, as SQL writes it."""
        return written(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An index that there is not. schema, table: as SQL writes them."""

    schema: str
    table: str
    keys: tuple[Key, ...]
    partitioned: bool

    @property
    def place(self) -> str:
        """The table and the columns, as SQL writes them."""
        keys = (written(column) + (" desc" if down else "") for column, down in self.keys)
        return f"{self.table} ({', '.join(keys)})"

    @property
    def create(self) -> str:
        """The statement that makes it while others write; where it is partitioned none does."""
        return f"create index {'' if self.partitioned else 'concurrently '}on {self.place}"


def candidates(table: Table, asked: Asked) -> Iterator[Candidate]:
    """Indexes that may help, the likeliest first; none whose columns an index begins with."""
    equal = [(column, False) for column in asked.equal]
    order = _ordering(asked.order)
    offers: list[list[Key]] = [
        *([*equal, (column, False)] for column in asked.ranges),
        [*equal, *(key for key in order if key[0] not in asked.equal)],
        *([(column, False), *equal] for column in asked.joined),
        equal,
    ]
    made: list[tuple[Key, ...]] = []
    for offer in offers:
        keys = tuple(dict(offer[:COLUMNS_MAX]).items())
        if keys and keys not in made and not _there(table, keys):
            made.append(keys)
    for keys in made[:OF_A_TABLE]:
        yield Candidate(written(table.schema), table.written, keys, table.partitioned)


def _ordering(order: Sequence[Key]) -> list[Key]:
    """An index is read from either end, so what is descending throughout needs none that is."""
    one_way = len({down for _, down in order}) <= 1
    return [(column, down and not one_way) for column, down in order]


def _there(table: Table, keys: Sequence[Key]) -> bool:
    """Whether an index begins with these columns; one that descends is another one."""
    wanted = [column for column, _ in keys]
    descends = any(down for _, down in keys)
    return not descends and any([*each[: len(wanted)]] == wanted for each in table.indexed)


@dataclass(frozen=True, slots=True)
class Samples:
    """Values of a column. some: of rows.

    quantiles: below which 1, 49.5, 50.5 and 99 % of the rows are, of a column that has ranges.
    """

    some: Sequence[str]
    quantiles: Sequence[str] = ()


ELSEWHERE = "1"
"""For a parameter that is compared with no column: most types read it."""
NUMBERS = {"limit": "10", "offset": "0", "first": "10", "next": "10"}
INTERVAL = "1 day"


def with_values(
    query: str,
    parameters: Mapping[int, tuple[Place, Compared]],
    samples: Mapping[Place, Samples],
    number: int,
) -> str | None:
    """The query with a value for each parameter; None where a column has no values to try.

    number: of which row they are. A range keeps about a row of a hundred.
    """
    tokens = postgres_lexer.tokens(query)
    both = {Compared.FROM, Compared.TO}
    closed = {
        place
        for place, _ in parameters.values()
        if both <= {compared for there, compared in parameters.values() if there == place}
    }
    pieces, done = [], 0
    for at, token in enumerate(tokens):
        if token.kind is not postgres_lexer.Kind.PARAMETER:
            continue
        before = tokens[at - 1].text if at else ""
        beside = parameters.get(int(token.text[1:]))
        if before in NUMBERS:
            value = NUMBERS[before]
        elif before == "interval":
            value = INTERVAL
        elif beside is None:
            value = ELSEWHERE
        elif (found := samples.get(beside[0])) is None:
            return None
        else:
            value = _value(found, beside[1], beside[0] in closed, number)
        pieces += [query[done : token.start], _literal(value)]
        done = token.end
    return "".join([*pieces, query[done:]])


def _value(samples: Samples, compared: Compared, closed: bool, number: int) -> str:
    match compared:
        case Compared.FROM:
            return samples.quantiles[1 if closed else 3]
        case Compared.TO:
            return samples.quantiles[2 if closed else 0]
        case Compared.EQUAL:
            return samples.some[number % len(samples.some)]
        case Compared.AMONG:
            value = samples.some[number % len(samples.some)]
            quoted = value.replace("\\", "\\\\").replace('"', '\\"')
            return '{"' + quoted + '"}'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
