"""The third reading of a question: its symbols, their cheapest covers, and the queries of those."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AMOUNT,
    BY,
    COMMONEST,
    DATE,
    EACH,
    FIGURE,
    FOR,
    FULL_STOP,
    HAVE,
    HOW_MANY,
    IN,
    MOST,
    NAME,
    NOT,
    NTH,
    NUMBER,
    OF,
    OR,
    PREPOSITION,
    QUOTED,
    SHARE,
    TAB,
    THAT,
    VAL,
    VALUE,
    WORD,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import ANYONE
from mcp_server.nl2sql.grammar.columns import YEARS
from mcp_server.nl2sql.grammar.compound.combining import combined, paired
from mcp_server.nl2sql.grammar.compound.spelled import Spelled, spelled
from mcp_server.nl2sql.grammar.compound.splitting import Halves, halves
from mcp_server.nl2sql.grammar.cover import Cover, covers
from mcp_server.nl2sql.grammar.ground import grounded
from mcp_server.nl2sql.grammar.nodes import Common, Difference, Lasting, Per, Product, Weighted
from mcp_server.nl2sql.grammar.symbols import SURE, Symbol, symbols
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Kind, Table
from mcp_server.nl2sql.sql.logical import Between, Compare, Nested, Query
from mcp_server.nl2sql.words.lexicon import IDLE, LIMITING, RELATING
from mcp_server.nl2sql.words.tokens import Token, lemma

LOST = 1.5
"""What it costs that a phrase was of no use."""
HIDDEN = 2.5
"""What it costs to make groups of the values of a measure, and not show it."""
HALVES_READ = 2
OPENING = HOW_MANY | AGGREGATE | FIGURE | PREPOSITION | EACH | NOT | HAVE
"""What an adjective may stand behind."""
ARTICLES = frozenset({"the", "a", "an", "all", "any", "some", "their", "its", "our", "these"})
SAID_BY_A_WORD = (Per, Product, Weighted, Lasting, Difference, Common)
"""Phrases in which a word that is no name says something."""
VITAL = VALUE | QUOTED | AMOUNT | NOT | MOST | NTH | COMMONEST | SHARE | OR


@dataclass(frozen=True, slots=True)
class Meant:
    """A query that a question may mean. cost: how far its phrases had to be stretched.

    understood: the share of the question's symbols that play a part in it, 0..1.
    values_lost: names, numbers and quoted texts that play none, or a `not`, a `most`, a share.
    """

    query: Query
    unused: tuple[str, ...]
    cost: float
    understood: float
    values_lost: int
    spelled: Spelled | None = None
    """The arithmetic that the question spells out."""
    half: tuple[str, Query] | None = None
    """Of a comparison, the half that is the less sure, with what it asks for by itself."""


def analyse(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Iterator[Meant]:
    """Queries that a question may mean, by their costs."""
    found = list(_read(tokens, linker, graph))
    for parts in halves(tokens):
        both = list(_both(parts, linker, graph))
        if parts.how == "," and any(not meant.values_lost for meant in both):
            found = []  # it says itself that two things are asked for
        found += both
    return iter(sorted(found, key=lambda meant: meant.cost))


def _both(parts: Halves, linker: Linker, graph: JoinGraph) -> Iterator[Meant]:
    """What both halves of a question mean, each in its likeliest ways."""
    sides = [
        sorted(_read(half, linker, graph), key=lambda meant: meant.cost)[:HALVES_READ]
        for half in (parts.left, parts.right)
    ]
    for one, other in product(*sides):
        left = paired(one.query, other.query, graph) if parts.how == "/" else one.query
        query = combined(parts.how, left, other.query, alike=parts.alike, rest=parts.rest)
        if query is not None:
            yield Meant(
                query,
                (*one.unused, *other.unused),
                one.cost + other.cost,
                (one.understood + other.understood) / 2,
                one.values_lost + other.values_lost,
                half=_less_sure(parts, one, other) if parts.how == "," else None,
            )


def _less_sure(parts: Halves, one: Meant, other: Meant) -> tuple[str, Query]:
    half, meant = (parts.left, one) if one.cost > other.cost else (parts.right, other)
    return " ".join(token.text for token in half), meant.query


def _read(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Iterator[Meant]:
    row = symbols(tokens, linker)
    arithmetic = spelled(row, graph)
    row = row if arithmetic is None else arithmetic.row
    for cover in covers(row):
        for number, ground in enumerate(grounded(cover, row, tokens, graph)):
            lost = len(ground.lost) - len(cover.skipped)
            cost = cover.cost + LOST * lost + 0.3 * (number > 0)
            cost += HIDDEN * _groups_by_measure(ground.query)
            ground.lost += _swallowed(cover, row)
            again = _told_by_others(row, ground.query)
            ground.lost += again
            ground.lost = [at for at in ground.lost if not _told_by_time(row, at, ground.query)]
            unused = tuple(row[place].text for place in sorted(set(ground.lost)))
            understood = 1 - len(unused) / max(1, len(row))
            values = sum(_is_vital(row, place) for place in set(ground.lost))
            values += len(again)
            yield Meant(ground.query, unused, cost, understood, values, arithmetic)


def _told_by_others(row: Sequence[Symbol], query: Query) -> list[int]:
    """Where things are told by others of their kind, streets that cross *streets* that ..., and the
    query reads each of them once.
    """
    before, found = set[Table](), []
    for place, (symbol, after) in enumerate(pairwise(row)):
        ref = symbol.ref
        if symbol.kind not in TAB or ref is None or ref.best_table < SURE:
            continue
        table = ref.tables[0][0]
        if table in before and after.kind in THAT and not _reads_again(query, table):
            found.append(place)
        before.add(table)
    return found


def _reads_again(query: Query, table: Table) -> bool:
    """Whether a query reads rows of a table besides those that it shows, or in groups."""
    if query.combine or query.computed or query.having or query.group:
        return True
    inner = [
        each.value.column.table
        if isinstance(each, Compare) and isinstance(each.value, Nested)
        else getattr(each, "table", None)
        for each in query.where
    ]
    return table in inner


def _groups_by_measure(query: Query) -> bool:
    shown = {each.column for each in query.select}
    return any(column.adds_up and column not in shown for column in query.group)


def _told_by_time(row: Sequence[Symbol], place: int, query: Query) -> bool:
    """Whether a word says what a time does: *new* members per month, *new* bookings in 2024."""
    after = row[place + 1] if place + 1 < len(row) else None
    if row[place].text.lower() != "new" or after is None or after.ref is None:
        return False
    tables = {table for table, score in after.ref.tables if score >= SURE}
    dates = [each.column for each in query.periods]
    dates += [each.column for each in query.where if isinstance(each, Compare | Between)]
    return any(c.table in tables and c.kind is Kind.DATE for c in dates)


def _swallowed(cover: Cover, row: Sequence[Symbol]) -> list[int]:
    """Words within phrases that say nothing about them, though they say which rows are meant."""
    inside = {place for span in cover.spans for place in range(*span)}
    for node, span in zip(cover.nodes, cover.spans, strict=True):
        if isinstance(node, SAID_BY_A_WORD):
            inside -= set(range(*span))
    return [place for place in sorted(inside) if row[place].kind in WORD and _is_vital(row, place)]


def _is_vital(row: Sequence[Symbol], place: int) -> bool:
    """Whether a query without a symbol cannot be meant: something that rows are to be compared
    with, or what looks so; what is not; what is most; a share; a word that says which rows.
    """
    symbol = row[place]
    cue = symbol.cue
    if symbol.kind in VITAL or (cue is not None and (cue.how == "sign" or cue.operator == "<>")):
        return True
    if symbol.kind not in WORD:
        return False
    named = symbol.start > 0 and symbol.text[:1].isupper()
    word = lemma(symbol.text)
    if named or word in LIMITING or not word.isascii() or _divides(row, place):
        return True
    if word in IDLE:
        return False
    ways = (_describes, _places, _is_thing, _happened)
    return any(way(row, place) for way in ways)


def _is_thing(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word is a noun by where it stands, and no name goes with it: how many *crates*, the
    *foreman* who, *painters* or drivers, wrote the *music* for.
    """
    symbol, before = row[place], row[place - 1] if place else None
    after = row[place + 1] if place + 1 < len(row) else None
    low = symbol.text.lower()
    if low in RELATING or low in ANYONE or lemma(low) in ANYONE:
        return False
    if after is not None and after.kind in NAME | VAL | WORD and after.start == symbol.end:
        return False
    if before is None or before.kind in HOW_MANY | EACH:
        return True
    several = low != lemma(low) and before.kind not in NAME | VAL | THAT | WORD
    headed = after is None or after.kind in THAT | IN | OF | FOR | PREPOSITION | FULL_STOP
    return several or (headed and bool(ARTICLES & set(symbol.lead)))


def _divides(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word says what something is asked for each of: sales *by region*."""
    before = row[place - 1] if place else None
    return before is not None and before.end == row[place].start and before.kind in BY | EACH


def _describes(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word stands as an adjective does: *cheap* products, the *damaged* items.

    Behind a noun it is a verb: members *borrow* books.
    """
    symbol, after = row[place], row[place + 1] if place + 1 < len(row) else None
    if after is None or after.kind not in TAB or after.start != symbol.end:
        return False
    before = row[place - 1] if place else None
    return before is None or bool(ARTICLES & set(symbol.lead)) or before.kind in OPENING


def _happened(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word says what was so at a time: members who *left* in 2024."""
    behind = row[place + 1 : place + 3]
    if row[place].text.lower() in RELATING or len(behind) < 2 or behind[0].kind not in IN:
        return False
    return behind[1].kind in DATE or _is_year(behind[1])


def _is_year(symbol: Symbol) -> bool:
    return symbol.kind in NUMBER and YEARS[0] <= (symbol.value or 0) <= YEARS[1]


def _places(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word says when or where without an article, or ends the question with what is so:
    on *weekends*, in *stock*, orders that have *insurance*, that were *cancelled*.
    """
    symbol, before = row[place], row[place - 1] if place else None
    after = row[place + 1] if place + 1 < len(row) else None
    if before is None:
        return False
    last = after is None or after.kind in FULL_STOP
    if last and symbol.text.endswith("ed") and "be" in symbol.lead:
        return True
    if before.end != symbol.start or before.kind not in (IN | HAVE if last else IN):
        return False
    return after is None or after.kind not in NAME or after.start != symbol.end
