"""Arithmetic that a question spells out: `price minus cost`, `half of their price`.

What is spelled becomes one symbol, that of a column which is computed, so that the phrases of the
grammar say of it what they say of any other: its total, its groups, what it is compared with. Where
it explains a word, as in `the profit on each product, price minus cost`, it takes its place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AND,
    BETWEEN,
    BY,
    COL,
    COLUMN,
    COMMA,
    EACH,
    FIGURE,
    FULL_STOP,
    HOW_MANY,
    IN,
    NAME,
    NUMBER,
    OF,
    OR_MORE,
    SHARE,
    TAB,
    THAT,
    TIMES,
    WORD,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import Cue
from mcp_server.nl2sql.grammar.symbols import NAMED_WELL, SURE, Symbol
from mcp_server.nl2sql.linking.linking import Ref
from mcp_server.nl2sql.schema.display import shown
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
AS_MUCH = frozenset({"as", "much", "many", "high", "large", "big", "long", "great"})
"""Words between `twice` and what is doubled."""
EXPLAINING = frozenset(
    {"being", "meaning", "i.e", "ie", "namely", "defined", "calculated", "computed", "that", "which",
     "be", "as", "is", "mean", "equal", "equals"}
)  # fmt: skip
"""Words between what is explained and what it is."""
PRICES = frozenset({"price", "cost", "rate", "fee", "tariff"})
MEASURE = "measure"
"""What stands for an expression that explains no word."""
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
class _Expression:
    """An expression over [start, end) of a row. plain: whether an operator stands between columns."""

    start: int
    end: int
    column: Column
    plain: bool


@dataclass(frozen=True, slots=True)
class Spelled:
    """A row with what it spells out as one symbol each, and those, by what they stand for."""

    row: list[Symbol]
    named: tuple[tuple[str, Column], ...]

    @property
    def text(self) -> str:
        """The question as it would be asked of columns of these names."""
        return " ".join(word for symbol in self.row for word in (*symbol.lead, symbol.text))


def spelled(row: Sequence[Symbol], graph: JoinGraph) -> Spelled | None:
    """What a row spells out; None where that is nothing."""
    found = _first(row, graph)
    if found is None:
        return None
    head = _explained(row, found)
    if head is None:
        symbol = _symbol(row[found.start : found.end], found.column, MEASURE)
        before, behind = list(row[: found.start]), list(row[found.end :])
    else:
        start, end, percent = head
        made = _scaled(found.column, PERCENT) if percent else found.column
        symbol = _symbol(row[start:end], made)
        marks = max(end, _marks(row, found.start))
        after = found.end
        while marks < found.start and after < len(row) and row[after].kind in COMMA:
            after += 1
        before, behind = list(row[:start]), [*row[end:marks], *row[after:]]
        if before and before[-1].kind in HOW_MANY:
            before.pop()  # the number of goals, where that is a sum of two columns
    again = spelled(behind, graph) if found.plain else None
    whole = _totalled(before, symbol, again.row if again else behind, found.column)
    assert symbol.ref is not None
    named = (symbol.text, symbol.ref.columns[0][0])
    return Spelled(whole, (named, *(again.named if again else ())))


def _first(row: Sequence[Symbol], graph: JoinGraph) -> _Expression | None:
    for start in range(len(row)):
        found = _expression(row, start, graph)
        if found is not None:
            return found
    return None


def _expression(row: Sequence[Symbol], start: int, graph: JoinGraph) -> _Expression | None:
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
    return _Expression(start, parts[-1].end, column, plain)


def _measured_difference(
    row: Sequence[Symbol], start: int, graph: JoinGraph
) -> _Expression | None:
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
    return None if column is None else _Expression(start, start + 5, column, plain=True)


def _operand(row: Sequence[Symbol], place: int) -> _Part | None:
    """A column of numbers, some times a column, or a number."""
    if place >= len(row):
        return None
    symbol = row[place]
    if symbol.kind in COL:
        columns = _numeric(symbol)
        if not columns or _says_operator(symbol):
            return None
        end = place + 1
        weak = symbol.ref is not None and symbol.ref.best_column < NAMED_WELL
        if weak and end < len(row) and row[end].kind in WORD and not _says_operator(row[end]):
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
    """`52 times the`, `twice as much as the`, `10 percent of the`, `half of the`, and where it ends."""
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
    if not _says_operator(row[place]):
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


def _says_operator(symbol: Symbol) -> bool:
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


def _resolved(
    parts: Sequence[_Part], operators: Sequence[str], graph: JoinGraph
) -> Column | None:
    """The computed column, of those meanings of its operands that go together best."""
    named = [part.columns for part in parts if part.columns]
    best: tuple[float, tuple[Column, ...]] | None = None
    for pairs in product(*named):
        columns = tuple(column for column, _ in pairs)
        if any(one is other for one, other in zip(columns, columns[1:], strict=False)):
            continue
        if _holding(columns, graph) is None:
            continue
        weight = sum(score for _, score in pairs)
        weight += SAME_TABLE * (len({column.table for column in columns}) == 1)
        if best is None or weight > best[0]:
            best = weight, columns
    if best is None:
        return None
    columns = iter(best[1])
    table = _holding(best[1], graph)
    assert table is not None
    values = [_value(part, columns, table) for part in parts]
    return _computed(values, operators, table)


def _value(part: _Part, columns: Iterator[Column], table: Table) -> Column | int | float:
    if part.number is not None:
        return part.number
    column = next(columns)
    return column if part.factor is None else _scaled(column, part.factor, table)


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
        return _scaled(one, 1 / other if operator == "/" and other else other, table)
    name = f"{one.name} {operator} {other.name}"
    words = (*one.words, *other.words)
    return Column(
        table, name, "numeric", Kind.NUMBER, words=words, made=Made(operator, (one, other))
    )


def _scaled(column: Column, factor: int | float, table: Table | None = None) -> Column:
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


def _symbol(said: Sequence[Symbol], column: Column, name: str = "") -> Symbol:
    text = name or " ".join(symbol.text for symbol in said)
    start, end = said[0].start, said[-1].end
    ref = Ref(start, end, text, columns=[(column, 1.0)], score=1.0)
    return Symbol(COLUMN.letter, start, end, text, ref, lead=said[0].lead)


def _explained(row: Sequence[Symbol], found: _Expression) -> tuple[int, int, bool] | None:
    """Where the words stand that an expression at the end explains, and whether in percent."""
    end = _marks(row, found.start)
    marked = end < found.start
    apart = marked and found.end < len(row) and row[found.end].kind in COMMA
    after = row[found.end :]
    if not apart and any(each.kind in NAME | OF | EACH | BY | IN | THAT for each in after):
        return None
    before = row[:end]
    if not before or not (marked or before[-1].kind in NAME | WORD or _behind(before[-1])):
        return None
    if marked and (counted := _counted_of(before, found.column)) is not None:
        return counted, counted + 1, False
    for place, symbol in enumerate(before):
        if symbol.kind in WORD and not _says_operator(symbol):
            return _whole_head(before, place, found.column)
    if (quotient := _quotient(before, found.column)) is not None:
        return quotient, quotient + 3, False
    weak = [place for place, symbol in enumerate(before) if _is_weak(symbol)]
    if not weak or not (marked or found.plain):
        return None
    end = weak[0] + 1
    while end in weak:
        end += 1
    return weak[0], end, False


def _is_weak(symbol: Symbol) -> bool:
    """Whether a name is hardly one: weekly *earnings*."""
    return symbol.kind in COLUMN and symbol.ref is not None and symbol.ref.best_column < SURE


def _quotient(row: Sequence[Symbol], column: Column) -> int | None:
    """Where a quotient is said as such before it is explained: workers per hectare."""
    made = column.made
    if made is None or made.how != "/":
        return None
    for place in range(len(row) - 2):
        sides = row[place], row[place + 2]
        said = (each.ref is not None and each.kind in COL for each in sides)
        if row[place + 1].kind in EACH and all(said):
            meant = [{c for c, _ in each.ref.columns} if each.ref else set() for each in sides]
            if all(part in of for part, of in zip(made.of, meant, strict=False)):
                return place
    return None


def _marks(row: Sequence[Symbol], place: int) -> int:
    """Where the words begin that lead to an explanation: `, that is`; `, profit being`."""
    said = {symbol.text.lower() for symbol in row[:place] if symbol.kind in WORD}
    start = place
    while start and _explains(row[start - 1]):
        start -= 1
    again = start and start < place and row[start - 1].text.lower() in said
    if again and any(row[start - 1].text.lower() == each.text.lower() for each in row[: start - 1]):
        start -= 1
        while start and _explains(row[start - 1]):
            start -= 1
    return start


def _behind(symbol: Symbol) -> bool:
    """`In total`, `on average`: said behind what is measured."""
    return symbol.kind in AGGREGATE and symbol.text.split()[0] in ("in", "on")


def _counted_of(row: Sequence[Symbol], column: Column) -> int | None:
    """The place of a name that is a part of all that is put together: goals, of home and away."""
    made = set(column.made.of) if column.made is not None else set()
    for place, symbol in enumerate(row):
        meant = {one for one, _ in symbol.ref.columns} if symbol.ref is not None else set()
        if symbol.kind in NAME and len(made) > 1 and made <= meant:
            return place
    return None


def _whole_head(
    row: Sequence[Symbol], place: int, column: Column
) -> tuple[int, int, bool]:
    """A name of several words: population *density*, *yearly* wage, budget per *seat*."""
    start, end = place, place + 1
    while end < len(row) and row[end].kind in WORD and not _explains(row[end]):
        end += 1
    if start > 1 and row[start - 1].kind in EACH and row[start - 2].kind in COL:
        start -= 2
    elif start and row[start - 1].kind in COL:
        start -= 1
    elif end < len(row) and row[end].kind in COL and row[end].start == row[end - 1].end:
        end += 1
    if end + 1 < len(row) and row[end].kind in EACH and _is_part(row[end + 1], column):
        end += 2  # the margin per bottle, of a bottle's price and its cost
    percent = False
    if end < len(row) and row[end].kind in IN | SHARE:
        last = end + 1 if row[end].kind in IN else end
        percent = last < len(row) and _of_hundred(row[last])
        end = last + 1 if percent else end
    return start, end, percent


def _is_part(symbol: Symbol, column: Column) -> bool:
    said = {lemma(word) for word in symbol.text.lower().split()}
    return symbol.kind in COLUMN and said <= {lemma(word) for word in column.words}


def _of_hundred(symbol: Symbol) -> bool:
    return symbol.kind in SHARE or lemma(symbol.text) in ("percent", "percentage", "%")


def _explains(symbol: Symbol) -> bool:
    if symbol.kind in COMMA | FULL_STOP:
        return True
    return symbol.kind in WORD | THAT | IN and symbol.text.lower() in EXPLAINING


def _totalled(
    before: list[Symbol], symbol: Symbol, behind: list[Symbol], column: Column
) -> list[Symbol]:
    """The row, with what is asked of the column in front of it: of groups, a total."""
    said = Cue(AGGREGATE.letter, aggregate="sum")
    total = Symbol(AGGREGATE.letter, symbol.start, symbol.start, "total", cue=said)
    if behind and _behind(behind[0]):  # `what is owed in total`
        return [*before, replace(behind[0], start=symbol.start), symbol, *behind[1:]]
    if not behind and len(before) == 2 and before[0].kind in EACH:
        behind, before = before, []  # for each wine, price minus cost
    measured = any(each.kind in FIGURE | SHARE | HOW_MANY for each in before)
    grouped = next((n for n, each in enumerate(behind) if each.kind in EACH | BY), None)
    if measured or grouped is None:
        return [*before, symbol, *behind]
    of = behind[grouped + 1 :]
    own = bool(of) and of[0].kind in TAB and _names(of[0], column.table)
    whole = own and not (len(of) > 1 and of[1].kind in COL)
    if not whole:
        adds_up = column.made is not None and column.made.how != "/"
        return [*before, *([total] if adds_up else ()), symbol, *behind]
    if grouped or any(each.kind in NAME for each in before):
        return [*before, symbol, *behind]
    return [*before, *_called(symbol, column.table), symbol, _of(behind[0]), *of]


def _called(beside: Symbol, table: Table) -> list[Symbol]:
    """What rows are called by: of a number that is computed of each, the row has to be told."""
    found = []
    for column in shown(table):
        text = " ".join(column.words)
        ref = Ref(beside.start, beside.start, text, columns=[(column, 1.0)], score=1.0)
        found += [
            Symbol(COLUMN.letter, beside.start, beside.start, text, ref),
            Symbol(AND.letter, beside.start, beside.start, "and"),
        ]
    return found


def _of(symbol: Symbol) -> Symbol:
    return replace(symbol, kind=OF.letter, text="of", cue=None)


def _names(symbol: Symbol, table: Table) -> bool:
    return symbol.ref is not None and bool(symbol.ref.tables) and symbol.ref.tables[0][0] is table
