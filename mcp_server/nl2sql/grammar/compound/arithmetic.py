"""Expressions over the symbols of a question: columns of numbers with operators between them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AND,
    BETWEEN,
    BY,
    COL,
    FIGURE,
    NUMBER,
    OF,
    OR_MORE,
    SHARE,
    TIMES,
    WORD,
)
from mcp_server.nl2sql.grammar.symbols import NAMED_WELL, SURE, Symbol
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import SCALED, Column, Kind, Made, Table
from mcp_server.nl2sql.words.tokens import lemma

OPERATORS = {
    "plus": "+", "+": "+", "minus": "-", "times": "*", "*": "*", "x": "*", "multiplied": "*",
    "divided": "/", "/": "/",
}  # fmt: skip
NOUNS = {"difference": "-", "product": "*", "quotient": "/"}
WITH_BY = frozenset({"multiplied", "divided"})
FACTORS = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "double": 2, "triple": 3}
PARTS = frozenset({"third", "quarter"})
AS_MUCH = frozenset({"as", "much", "many", "high", "large", "big", "long", "great"})
"""Words between `twice` and what is doubled."""
PRICES = frozenset({"price", "cost", "rate", "fee", "tariff"})
PERCENT = 100
READS = 4
"""Meanings of an operand that are tried."""
SAME_TABLE = 0.6
"""What it says for two operands that rows of one table have both."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An operand [start, end) of a row: the columns that it may be, or a number."""

    end: int
    columns: tuple[tuple[Column, float], ...] = ()
    number: int | float | None = None
    factor: int | float | None = None


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression over [start, end) of a row. plain: of more than one column."""

    start: int
    end: int
    column: Column
    plain: bool


def first_expression(row: Sequence[Symbol], graph: JoinGraph) -> Expression | None:
    """The expression that begins before all others; None where there is none."""
    for start in range(len(row)):
        found = _expression(row, start, graph)
        if found is not None:
            return found
    return None


def _expression(row: Sequence[Symbol], start: int, graph: JoinGraph) -> Expression | None:
    """The longest expression that begins at a place."""
    if (difference := _measured_difference(row, start, graph)) is not None:
        return difference
    part = _operand(row, start)
    if part is None or (part.number is not None):
        return None
    parts, operators = [part], []
    while (step := _operator(row, parts[-1].end)) is not None:
        operator, after = step
        following = _operand(row, after)
        if following is None or (following.number is not None and operator not in "*/"):
            break
        parts.append(following)
        operators.append(operator)
    if not operators and part.factor is None:
        return None
    column = _resolved(parts, operators, graph)
    if column is None:
        return None
    plain = sum(bool(each.columns) for each in parts) > 1
    return Expression(start, parts[-1].end, column, plain)


def _measured_difference(row: Sequence[Symbol], start: int, graph: JoinGraph) -> Expression | None:
    """The average *difference between X and Y*: of two columns, where a measure is asked of it."""
    said = row[start : start + 5]
    kinds = (WORD, BETWEEN | OF, COL, AND, COL)
    fits = len(said) == len(kinds) and all(
        each.kind in kind for each, kind in zip(said, kinds, strict=True)
    )
    if not fits or not start or row[start - 1].kind not in FIGURE:
        return None
    operator = NOUNS.get(lemma(said[0].text))
    parts = _operand(row, start + 2), _operand(row, start + 4)
    if operator is None or parts[0] is None or parts[1] is None:
        return None
    column = _resolved([parts[0], parts[1]], [operator], graph)
    return None if column is None else Expression(start, start + 5, column, plain=True)


def _operand(row: Sequence[Symbol], place: int) -> _Part | None:
    """A column of numbers, some times a column, or a number."""
    if place >= len(row):
        return None
    symbol = row[place]
    if symbol.kind in COL:
        columns = _numeric(symbol)
        if not columns or says_operator(symbol):
            return None
        end = place + 1
        weak = symbol.ref is not None and symbol.ref.best_column < NAMED_WELL
        if weak and end < len(row) and row[end].kind in WORD and not says_operator(row[end]):
            end += 1  # the night *consumption*, where a column is called night_kwh
        return _Part(end, columns)
    factor, after = _factor(row, place)
    if factor is not None:
        inner = _operand(row, after) if after < len(row) and row[after].kind in COL else None
        return None if inner is None else replace(inner, factor=factor)
    if symbol.kind in NUMBER and symbol.value is not None:
        return _Part(place + 1, number=symbol.value)
    return None


def _factor(row: Sequence[Symbol], place: int) -> tuple[int | float | None, int]:
    """`52 times the`, `twice as much as the`, `10 percent of the`, and where that ends."""
    symbol, after = row[place], place + 1
    word = symbol.text.lower()
    if symbol.kind in NUMBER and symbol.value is not None and after < len(row):
        follows = row[after]
        if symbol.value == 1:
            return None, place  # a one time bonus
        if follows.kind in TIMES or OPERATORS.get(follows.text.lower()) == "*":
            after += 1
            while after < len(row) and row[after].text.lower() in AS_MUCH:
                after += 1
            return symbol.value, after
        if follows.kind in SHARE and follows.text.startswith("percent"):
            return symbol.value / PERCENT, after + 1
        return None, place
    if symbol.kind in WORD and word in FACTORS:
        part = after < len(row) and (row[after].kind in OF or bool(row[after].lead))
        if not part or (word in PARTS and row[after].kind not in OF):
            return None, place  # the third price, double rooms
        while after < len(row) and (row[after].kind in OF or row[after].text.lower() in AS_MUCH):
            after += 1
        return FACTORS[word], after
    return None, place


def _operator(row: Sequence[Symbol], place: int) -> tuple[str, int] | None:
    """The operator at a place, and where it ends."""
    if place >= len(row):
        return None
    if row[place].text.lower() == "at" and place + 1 < len(row) and _is_price(row[place + 1]):
        return "*", place + 1
    if not says_operator(row[place]):
        return None
    word = row[place].text.lower()
    after = place + 1
    if word in WITH_BY:
        if after >= len(row) or row[after].kind not in BY:
            return None
        after += 1
    return OPERATORS[word], after


def _is_price(symbol: Symbol) -> bool:
    """The stock *at cost*."""
    columns = _numeric(symbol) if symbol.kind in COL else ()
    return bool(columns) and bool(PRICES & set(columns[0][0].words)) and columns[0][1] >= SURE


def says_operator(symbol: Symbol) -> bool:
    """Whether a symbol is one, though `minus` may look like `minutes`."""
    if symbol.text.lower() not in OPERATORS:
        return False
    if symbol.kind in COL:
        return symbol.ref is None or symbol.ref.best_column < NAMED_WELL
    return symbol.kind in WORD | AND | OR_MORE | TIMES


def _numeric(symbol: Symbol) -> tuple[tuple[Column, float], ...]:
    ref = symbol.ref
    if ref is None:
        return ()
    fit = [
        (column, score)
        for column, score in ref.columns
        if column.counts and not (column.primary or column.foreign or column.measured)
    ]
    return tuple(sorted(fit, key=lambda pair: -pair[1])[:READS])


def _resolved(parts: Sequence[_Part], operators: Sequence[str], graph: JoinGraph) -> Column | None:
    """The computed column, of those meanings of its operands that go together best."""
    named = [part.columns for part in parts if part.columns]
    best: tuple[float, tuple[Column, ...]] | None = None
    for pairs in product(*named):
        columns = tuple(column for column, _ in pairs)
        if any(one is other for one, other in pairwise(columns)):
            continue
        if _holding(columns, graph) is None:
            continue
        weight = sum(score for _, score in pairs)
        weight += SAME_TABLE * (len({column.table for column in columns}) == 1)
        if best is None or weight > best[0]:
            best = weight, columns
    if best is None:
        return None
    each = iter(best[1])
    table = _holding(best[1], graph)
    assert table is not None
    values = [_value(part, each, table) for part in parts]
    return _computed(values, operators, table)


def _value(part: _Part, columns: Iterator[Column], table: Table) -> Column | int | float:
    if part.number is not None:
        return part.number
    column = next(columns)
    return column if part.factor is None else scaled(column, part.factor, table)


def _computed(
    values: Sequence[Column | int | float], operators: Sequence[str], table: Table
) -> Column | None:
    """Products go before sums; what is divided is all that was said before."""
    first, *others = values
    if isinstance(first, int | float):
        return None
    if not operators:
        return first
    if "/" in operators:
        cut = len(operators) - 1 - list(reversed(operators)).index("/")
        above = _computed(values[: cut + 1], operators[:cut], table)
        below = _computed(values[cut + 1 :], operators[cut + 1 :], table) or values[cut + 1]
        if above is None:
            return None
        return _together("/", above, below, table)
    terms: list[Column | int | float] = [first]
    sums: list[str] = []
    for operator, value in zip(operators, others, strict=True):
        last = terms[-1]
        if operator == "*" and not isinstance(last, int | float):
            terms[-1] = _together("*", last, value, table)
        else:
            terms.append(value)
            sums.append(operator)
    total = terms[0]
    for operator, value in zip(sums, terms[1:], strict=True):
        if isinstance(total, int | float):
            return None
        total = _together(operator, total, value, table)
    return total if isinstance(total, Column) else None


def _together(operator: str, one: Column, other: Column | int | float, table: Table) -> Column:
    if not isinstance(other, Column):
        return scaled(one, 1 / other if operator == "/" and other else other, table)
    name = f"{one.name} {operator} {other.name}"
    words = (*one.words, *other.words)
    return Column(
        table, name, "numeric", Kind.NUMBER, words=words, made=Made(operator, (one, other))
    )


def scaled(column: Column, factor: int | float, table: Table | None = None) -> Column:
    """So many times a column."""
    made = Made(SCALED, (column,), repr(factor))
    name = f"{factor} times {column.name}"
    return Column(
        table or column.table, name, "numeric", Kind.NUMBER, words=column.words, made=made
    )


def _holding(columns: Sequence[Column], graph: JoinGraph) -> Table | None:
    """The table each of whose rows has one value of every column."""
    tables = dict.fromkeys(column.table for column in columns)
    for table in tables:
        if all(other is table or graph.single(table, other) for other in tables):
            return table
    return None
