"""Arithmetic that a question spells out: `price minus cost`, `half of their price`.

What is spelled becomes one symbol, that of a column which is computed, so that the phrases of the
grammar say of it what they say of any other: its total, its groups, what it is compared with. Where
it explains a word, as in `the profit on each product, price minus cost`, it takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AND,
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
    OF,
    SHARE,
    TAB,
    THAT,
    WORD,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import Cue
from mcp_server.nl2sql.grammar.compound.arithmetic import (
    PERCENT,
    Expression,
    first_expression,
    says_operator,
    scaled,
)
from mcp_server.nl2sql.grammar.symbols import SURE, Symbol
from mcp_server.nl2sql.linking.linking import Ref
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.words.tokens import lemma

EXPLAINING = frozenset(
    {"being", "meaning", "i.e", "ie", "namely", "defined", "calculated", "computed", "that",
     "which", "be", "as", "is", "mean", "equal", "equals"}
)  # fmt: skip
"""Words between what is explained and what it is."""
MEASURE = "measure"
"""What stands for an expression that explains no word."""


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
    found = first_expression(row, graph)
    if found is None:
        return None
    head = _explained(row, found)
    if head is None:
        symbol = _symbol(row[found.start : found.end], found.column, MEASURE)
        before, behind = list(row[: found.start]), list(row[found.end :])
    else:
        start, end, percent = head
        made = scaled(found.column, PERCENT) if percent else found.column
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


def _symbol(said: Sequence[Symbol], column: Column, name: str = "") -> Symbol:
    text = name or " ".join(symbol.text for symbol in said)
    start, end = said[0].start, said[-1].end
    ref = Ref(start, end, text, columns=[(column, 1.0)], score=1.0)
    return Symbol(COLUMN.letter, start, end, text, ref, lead=said[0].lead)


def _explained(row: Sequence[Symbol], found: Expression) -> tuple[int, int, bool] | None:
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
        if symbol.kind in WORD and not says_operator(symbol):
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


def _whole_head(row: Sequence[Symbol], place: int, column: Column) -> tuple[int, int, bool]:
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
