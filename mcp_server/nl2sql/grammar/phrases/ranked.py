"""Phrases for how many, which first, and in which order."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AND,
    BETWEEN,
    BY,
    COL,
    COMMA,
    COMMONEST,
    DIRECTION,
    DISTINCT,
    END,
    FIGURE,
    FOR,
    HAVE,
    HOW_MANY,
    HOW_OFTEN,
    IN,
    LEADING,
    LISTING,
    MOST,
    NAME,
    NOT,
    NTH,
    NUMBER,
    OF,
    OR_MORE,
    PREPOSITION,
    SORTED,
    TAB,
    TABLE,
    THAN,
    THAT,
    TIMES,
    VAL,
    VALUE_OR_TABLE,
    WHOSE,
    WORD,
    before,
    not_before,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import ANYONE
from mcp_server.nl2sql.grammar.nodes import (
    Common,
    Entity,
    Equal,
    Group,
    HowMany,
    Limit,
    Node,
    Nth,
    Numbered,
    Rank,
    Show,
    Sort,
    Total,
)
from mcp_server.nl2sql.grammar.phrases.matching import Found, aggregate_of, phrase
from mcp_server.nl2sql.grammar.symbols import SURE
from mcp_server.nl2sql.sql.logical import Aggregate

COUNTED_MOST = NUMBER("k").maybe + MOST("s") + NUMBER("m").maybe
"""The most, the three most, the most three."""


@phrase(
    (THAT | HAVE | WHOSE).some + COL + THAN("o") + NUMBER("n")
    + (DISTINCT | WORD | OF).any + TAB("t"), 0.6,
)  # fmt: skip
def _verb_at_least(f: Found) -> Sequence[Node] | None:
    """That advise more than 2 students, where a column is named like the verb."""
    return _at_least(f)


@phrase(
    (LEADING | AND).any + HOW_MANY.maybe + NOT("x").maybe + THAN("o") + NUMBER("n")
    + (DISTINCT | WORD | OF).any + TAB("t"), 0.3,
)  # fmt: skip
def _at_least(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"), f.says(DISTINCT))]


@phrase((LEADING | AND).any + NOT("x").maybe + THAN("o") + NUMBER("n") + VAL("v") + TAB("t"), 0.3)
def _at_least_of_kind(f: Found) -> Sequence[Node]:
    """At least two cancelled orders."""
    return [Equal(None, (f.place("v"),)), HowMany(f.place("t"), f.operator("o"), f.place("n"))]


@phrase(
    (LEADING | AND).any + NUMBER("n") + OR_MORE("o") + (DISTINCT | WORD | OF).any + TAB("t"), 0.3
)
def _n_or_more(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"), f.says(DISTINCT))]


@phrase(
    (LEADING | AND).any + WORD.maybe + THAN("o") + NUMBER("n") + DISTINCT + OF.maybe
    + NAME("x"), 0.25,
)  # fmt: skip
def _so_many_kinds(f: Found) -> Sequence[Node]:
    """Of at least 2 different nationalities."""
    return [HowMany(f.place("x"), f.operator("o"), f.place("n"), distinct=True)]


@phrase(
    (LEADING | AND).any + (BETWEEN | IN).maybe + NUMBER("a") + (AND | IN) + NUMBER("b")
    + TAB("t"), 0.35,
)  # fmt: skip
def _from_so_many(f: Found) -> Sequence[Node]:
    at = f.place("t")
    return [HowMany(at, ">=", f.place("a")), HowMany(at, "<=", f.place("b"))]


@phrase((LEADING | AND).any + THAN("o") + NUMBER("n") + WORD("w"), 0.45)
def _so_many_of_them(f: Found) -> Sequence[Node] | None:
    """At least three people."""
    if f.symbols[f.place("w")].text.lower() not in ANYONE:
        return None
    return [HowMany(None, f.operator("o"), f.place("n"))]


@phrase((LEADING | AND).any + COUNTED_MOST + HOW_MANY.maybe + (WORD | HOW_OFTEN)("w"), 0.4)
def _most_of_them(f: Found) -> Sequence[Node] | None:
    """With the most people; the greatest number of times."""
    cue, word = f.cue("s"), f.symbols[f.place("w")]
    if cue.hints or (word.kind in WORD and word.text.lower() not in ANYONE):
        return None
    return [Rank(cue.descending, None, _count(f), "count")]


@phrase(
    (THAT | HAVE | PREPOSITION | AND).any + (HAVE | WORD | IN) + NUMBER("n")
    + DISTINCT.maybe + TAB("t"), 0.45,
)  # fmt: skip
def _exactly(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), "=", f.place("n"))]


@phrase(
    (LEADING | AND).any + HOW_MANY + TAB("t") + (PREPOSITION | THAT | HAVE | WORD).any
    + THAN("o") + NUMBER("n"), 0.35,
)  # fmt: skip
def _number_of_is(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"))]


@phrase(
    (LEADING | AND).any + AGGREGATE("a") + COL("c")
    + (PREPOSITION | THAT | HAVE | WORD).any + THAN("o") + NUMBER("n"), 0.35,
)  # fmt: skip
def _total(f: Found) -> Sequence[Node]:
    aggregate = aggregate_of(f.symbols[f.place("a")])
    return [Total(f.place("c"), aggregate, f.operator("o"), f.place("n"))]


def _count(f: Found) -> int | None:
    return f.at("k") if f.has("k") else f.at("m")


def _aggregate(f: Found) -> Aggregate | None:
    """What is ranked or sorted by: a number of rows, an aggregate, or neither."""
    return "count" if f.has("n") else f.cue("a").aggregate if f.has("a") else None


def _relative(f: Found) -> bool:
    return f.begins(THAT | HAVE | WHOSE | IN | OF)


@phrase(NTH("n"), 0.1)
def _nth(f: Found) -> Sequence[Node]:
    """The second most expensive."""
    return [Nth(f.place("n"))]


@phrase(MOST + NUMBER("n") + TAB("t"), 0.35)
def _top(f: Found) -> Sequence[Node] | None:
    """The top 3 countries (with the most people)."""
    if f.symbols[f.match.start()].cue.hints:  # type: ignore[union-attr]
        return None
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(
    MOST("s") + NUMBER("k").maybe + TAB("t") + BY + HOW_MANY("n").maybe
    + AGGREGATE("a").maybe + OF.maybe + (TAB + before(COL)).maybe + NAME("x"), 0.25,
)  # fmt: skip
def _top_by(f: Found) -> Sequence[Node] | None:
    """The top 3 branches by number of members."""
    cue = f.cue("s")
    if cue.hints:
        return None
    rank = Rank(cue.descending, f.place("x"), f.at("k"), _aggregate(f))
    return [Entity(f.place("t"), owner=True), rank]


@phrase(
    MOST("s") + NUMBER("k").maybe + TAB("e").maybe + COL("c") + BY + HOW_MANY("n").maybe
    + AGGREGATE("a").maybe + OF.maybe + (TAB + before(COL)).maybe + NAME("x"), 0.25,
)  # fmt: skip
def _top_values_by(f: Found) -> Sequence[Node] | None:
    """The top 5 countries by number of customers, where a country is a column of theirs."""
    cue, at = f.cue("s"), f.place("c")
    ref = f.symbols[at].ref
    measured = f.has("n") or f.has("a")
    if cue.hints or not measured or ref is None or ref.best_column < max(SURE, ref.best_table):
        return None
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    rank = Rank(cue.descending, f.place("x"), f.at("k"), _aggregate(f))
    return [*entity, Show(at), Group(at), rank]


@phrase(
    (OF | FOR).maybe + MOST("s") + NUMBER("k").maybe + TAB("t").maybe + (BY | IN) + COL("x"), 0.25,
)  # fmt: skip
def _largest_by(f: Found) -> Sequence[Node] | None:
    """The largest branch by turnover; the branch that is largest in turnover."""
    cue, ref = f.cue("s"), f.symbols[f.place("x")].ref
    if not cue.hints or ref is None or not any(c.counts for c, s in ref.columns if s >= SURE):
        return None
    entity: list[Node] = [Entity(f.place("t"), owner=True)] if f.has("t") else []
    return [*entity, Rank(cue.descending, f.place("x"), f.at("k"))]


@phrase(
    (OF | FOR)("o").maybe + (IN | BY | THAT | HAVE).any + TAB("t") + NUMBER("n")
    + not_before(OR_MORE | TIMES | COL | TABLE), 0.5,
)  # fmt: skip
def _numbered(f: Found) -> Sequence[Node]:
    """Customer 10: the row with that number."""
    return [Entity(f.place("t"), owner=f.has("o")), Numbered(f.place("t"), f.place("n"))]


@phrase(NUMBER("n") + COL("c"), 0.6)
def _so_many_values(f: Found) -> Sequence[Node]:
    """Which 3 cities (have the most members)?"""
    return [Show(f.place("c")), Limit(f.place("n"))]


@phrase((OF | FOR).maybe + NUMBER("n") + TAB("t"), 0.5)
def _so_many(f: Found) -> Sequence[Node]:
    """The 3 countries (with the most people)."""
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(
    (LEADING | AND).any + (MOST + before(NUMBER.maybe + MOST)).maybe + COUNTED_MOST
    + HOW_MANY("num").maybe + (DISTINCT | WORD).maybe + NAME("x"), 0.35,
)  # fmt: skip
def _ranked(f: Found) -> Sequence[Node]:
    cue, ref = f.cue("s"), f.symbols[f.place("x")].ref
    counted = f.has("num") or (not cue.hints and f.says(TABLE | VALUE_OR_TABLE, "x"))
    if f.symbols[f.place("s")].text.endswith("number of") and ref is not None and ref.tables:
        counted = counted or not any(c.counts for c, _ in ref.columns)  # no column has numbers
    return [
        Rank(
            cue.descending,
            f.place("x"),
            _count(f),
            "count" if counted else None,
            cue.hints,
            _relative(f),
            counting=f.symbols[f.place("s")].text in ("most", "least", "fewest"),
        )
    ]


@phrase((LEADING | AND).any + COUNTED_MOST + HOW_MANY.maybe + VAL("v") + TAB("t"), 0.35)
def _most_of_kind(f: Found) -> Sequence[Node] | None:
    """By the most female students."""
    cue = f.cue("s")
    if cue.hints:
        return None
    rank = Rank(cue.descending, f.place("t"), _count(f), "count", (), _relative(f))
    return [rank, Equal(None, (f.place("v"),))]


@phrase((LEADING | AND).any + COUNTED_MOST + AGGREGATE("a") + (OF | FOR).maybe + NAME("c"), 0.3)
def _ranked_by_aggregate(f: Found) -> Sequence[Node]:
    cue = f.cue("s")
    return [Rank(cue.descending, f.place("c"), _count(f), f.cue("a").aggregate, (), _relative(f))]


@phrase(COUNTED_MOST + WORD.maybe + TAB("t") + COL("c"), 0.5)
def _of_oldest(f: Found) -> Sequence[Node] | None:
    """How much did the latest ticket cost?"""
    nodes = _oldest(f)
    return None if nodes is None else [Show(f.place("c")), *nodes]


@phrase(COUNTED_MOST + COL("c") + TAB("t"), 0.4)
def _rows_by_column(f: Found) -> Sequence[Node]:
    """The highest priced rooms, the 5 most recently opened branches: rows, not prices."""
    rank = Rank(f.cue("s").descending, f.place("c"), _count(f), relative=True)
    return [Entity(f.place("t"), owner=True), rank]


@phrase(OF.maybe + (MOST + before(NUMBER)).maybe + COUNTED_MOST + WORD.maybe + TAB("t"), 0.3)
def _oldest(f: Found) -> Sequence[Node] | None:
    """The oldest member."""
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Entity(f.place("t"), owner=f.begins(OF)),
            Rank(cue.descending, None, _count(f), None, cue.hints)]  # fmt: skip


@phrase(OF.maybe + COUNTED_MOST + VAL("v") + TAB("t"), 0.35)
def _oldest_of_kind(f: Found) -> Sequence[Node] | None:
    nodes = _oldest(f)
    return None if nodes is None else [*nodes, Equal(None, (f.place("v"),))]


@phrase((THAT | HAVE | WHOSE | IN | OF | FOR).any + COUNTED_MOST, 0.6)
def _is_oldest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Rank(cue.descending, None, _count(f), None, cue.hints, relative=True)]


@phrase(
    (THAT | HAVE | WHOSE | IN | OF | FOR).any + COL("c") + (THAT | HAVE | IN).any
    + NUMBER("k").maybe + FIGURE("s") + NUMBER("m").maybe, 0.4,
)  # fmt: skip
def _column_is_largest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if cue.kind in AGGREGATE:
        if cue.aggregate not in ("max", "min"):
            return None
        return [Rank(cue.aggregate == "max", f.place("c"), _count(f), relative=True)]
    return [Rank(cue.descending, f.place("c"), _count(f), relative=True)]


@phrase((THAT | HAVE | IN | OF).some + AGGREGATE("a") + COL("c"), 0.5)
def _with_maximum(f: Found) -> Sequence[Node] | None:
    """With the maximum score: a row."""
    aggregate = f.cue("a").aggregate
    if aggregate not in ("max", "min"):
        return None
    return [Rank(aggregate == "max", f.place("c"), relative=True)]


@phrase(
    LEADING.any + NUMBER("k").maybe + COMMONEST("m") + (WORD + OF).maybe
    + (TAB + before(COL)).maybe + NAME("x").maybe, 0.3,
)  # fmt: skip
def _common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.at("x"), f.at("k"))]


@phrase(LEADING.any + MOST("s") + WORD("w") + NAME("x"), 0.3)
def _most_done(f: Found) -> Sequence[Node] | None:
    """The most borrowed book."""
    cue, word = f.cue("s"), f.symbols[f.place("w")].text.lower()
    if cue.hints or f.symbols[f.place("s")].text not in ("most", "least"):
        return None
    return [Common(cue.descending, f.place("x"))] if word.endswith(("ed", "en")) else None


@phrase(LEADING.any + COL("c") + (THAT | HAVE | WORD | IN).any + COMMONEST("m"), 0.4)
def _column_most_common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.place("c"))]


@phrase(
    (LISTING | IN).any + DIRECTION("z1").maybe + SORTED("r") + DIRECTION("z2").maybe
    + PREPOSITION.any + HOW_MANY("n").maybe + AGGREGATE("a").maybe
    + (TAB + before(COL)).maybe + NAME("x") + (LISTING.some + COL).any("more")
    + (IN | LISTING).any + DIRECTION("z").maybe, 0.25,
)  # fmt: skip
def _sorted(f: Found) -> Sequence[Node]:
    down = next((f.cue(g).descending for g in ("z", "z1", "z2") if f.has(g)), False)
    more = [Sort(each, down) for each in f.places("more", COL)]
    return [Sort(f.place("x"), down, _aggregate(f)), *more]


@phrase(
    SORTED + TAB("e").maybe + COL("c") + (OF + TAB).maybe + BY + NAME("x")
    + DIRECTION("z").maybe, 0.3,
)  # fmt: skip
def _sort_names(f: Found) -> Sequence[Node]:
    """Sort the employee names by age."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    down = f.has("z") and f.cue("z").descending
    return [*entity, Show(f.place("c")), Sort(f.place("x"), down)]


@phrase(SORTED + TAB + BY + NAME("x") + DIRECTION("z").maybe, 0.3)
def _sort_rows(f: Found) -> Sequence[Node]:
    return [Entity(f.match.start() + 1), Sort(f.place("x"), f.has("z") and f.cue("z").descending)]


@phrase(
    (LISTING | IN).any + SORTED("r").maybe + DIRECTION("z") + PREPOSITION.any
    + HOW_MANY("n").maybe + AGGREGATE("a").maybe + WORD.maybe
    + (TAB + before(COL)).maybe + NAME("x").maybe, 0.3,
)  # fmt: skip
def _directed(f: Found) -> Sequence[Node]:
    return [Sort(f.at("x"), f.cue("z").descending, _aggregate(f), f.cue("z").hints)]


@phrase((LISTING | IN).any + SORTED + (LISTING | IN).any + DIRECTION, 0.3)
def _sorted_somehow(f: Found) -> Sequence[Node]:
    last = f.symbols[f.match.end() - 1].cue
    assert last is not None
    return [Sort(None, last.descending, None, last.hints)]


@phrase(COMMA.maybe + MOST("s") + MOST("f") + END, 0.25)
def _first_of_all(f: Found) -> Sequence[Node] | None:
    """..., newest first."""
    cue = f.cue("s")
    if not cue.hints or f.symbols[f.place("f")].text != "first":
        return None
    return [Sort(None, cue.descending, None, cue.hints)]
