"""Phrases for how many, which first, and in which order."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.nodes import (
    Common,
    Entity,
    Equal,
    HowMany,
    Limit,
    Node,
    Numbered,
    Rank,
    Show,
    Sort,
    Total,
)
from mcp_server.nl2sql.grammar.phrases.matching import (
    COL,
    NAME,
    TAB,
    VAL,
    Found,
    aggregate_of,
    phrase,
)
from mcp_server.nl2sql.grammar.vocabulary import ANYONE
from mcp_server.nl2sql.sql.logical import Aggregate


@phrase(rf"[THW]+{COL}(?P<o>O)(?P<n>n)[D_o]*(?P<t>{TAB})", 0.6)
def _verb_at_least(f: Found) -> Sequence[Node] | None:
    """That advise more than 2 students, where a column is named like the verb."""
    return _at_least(f)


@phrase(rf"[THWpofy&]*#?(?P<x>X)?(?P<o>O)(?P<n>n)[D_o]*(?P<t>{TAB})", 0.3)
def _at_least(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy&]*(?P<n>n)(?P<o>\+)[D_o]*(?P<t>{TAB})", 0.3)
def _n_or_more(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy&]*(?:K|p)?(?P<a>n)[&p](?P<b>n)(?P<t>{TAB})", 0.35)
def _from_so_many(f: Found) -> Sequence[Node]:
    at = f.place("t")
    return [HowMany(at, ">=", f.place("a")), HowMany(at, "<=", f.place("b"))]


@phrase(r"[THWpofy&]*(?P<o>O)(?P<n>n)(?P<w>_)", 0.45)
def _so_many_of_them(f: Found) -> Sequence[Node] | None:
    """At least three people."""
    if f.symbols[f.place("w")].text.lower() not in ANYONE:
        return None
    return [HowMany(None, f.operator("o"), f.place("n"))]


@phrase(r"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?#?(?P<w>[_m])", 0.4)
def _most_of_them(f: Found) -> Sequence[Node] | None:
    """With the most people; the greatest number of times."""
    cue, word = f.cue("s"), f.symbols[f.place("w")]
    if cue.hints or (word.kind == "_" and word.text.lower() not in ANYONE):
        return None
    return [Rank(cue.descending, None, _count(f), "count")]


@phrase(rf"[THpofy&]*[H_p](?P<n>n)D?(?P<t>{TAB})", 0.45)
def _exactly(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), "=", f.place("n"))]


@phrase(rf"[THWpofy&]*#(?P<t>{TAB})[pofyTH_]*(?P<o>O)(?P<n>n)", 0.35)
def _number_of_is(f: Found) -> Sequence[Node]:
    return [HowMany(f.place("t"), f.operator("o"), f.place("n"))]


@phrase(rf"[THWpofy&]*(?P<a>A)(?P<c>{COL})[pofyTH_]*(?P<o>O)(?P<n>n)", 0.35)
def _total(f: Found) -> Sequence[Node]:
    aggregate = aggregate_of(f.symbols[f.place("a")])
    return [Total(f.place("c"), aggregate, f.operator("o"), f.place("n"))]


_COUNTED = r"(?P<k>n)?(?P<s>S)(?P<m>n)?"


def _count(f: Found) -> int | None:
    return f.at("k") if f.has("k") else f.at("m")


def _aggregate(f: Found) -> Aggregate | None:
    """What is ranked or sorted by: a number of rows, an aggregate, or neither."""
    return "count" if f.has("n") else f.cue("a").aggregate if f.has("a") else None


def _relative(f: Found) -> bool:
    return f.match[0][0] in "THWpo"


@phrase(rf"S(?P<n>n)(?P<t>{TAB})", 0.35)
def _top(f: Found) -> Sequence[Node] | None:
    """The top 3 countries (with the most people)."""
    if f.symbols[f.match.start()].cue.hints:  # type: ignore[union-attr]
        return None
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(rf"(?P<s>S)(?P<k>n)?(?P<t>{TAB})y(?P<n>#)?(?P<a>A)?o?(?P<x>{NAME})", 0.25)
def _top_by(f: Found) -> Sequence[Node] | None:
    """The top 3 branches by number of members."""
    cue = f.cue("s")
    if cue.hints:
        return None
    rank = Rank(cue.descending, f.place("x"), f.at("k"), _aggregate(f))
    return [Entity(f.place("t"), owner=True), rank]


@phrase(rf"(?P<o>[of])?[pyTH]*(?P<t>{TAB})(?P<n>n)(?![+xctbwz])", 0.5)
def _numbered(f: Found) -> Sequence[Node]:
    """Customer 10: the row with that number."""
    return [Entity(f.place("t"), owner=f.has("o")), Numbered(f.place("t"), f.place("n"))]


@phrase(rf"(?P<n>n)(?P<c>{COL})", 0.6)
def _so_many_values(f: Found) -> Sequence[Node]:
    """Which 3 cities (have the most members)?"""
    return [Show(f.place("c")), Limit(f.place("n"))]


@phrase(rf"[of]?(?P<n>n)(?P<t>{TAB})", 0.5)
def _so_many(f: Found) -> Sequence[Node]:
    """The 3 countries (with the most people)."""
    return [Entity(f.place("t"), owner=True), Limit(f.place("n"))]


@phrase(rf"[THWpofy&]*(?:S(?=n?S))?(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<num>#)?[D_]?(?P<x>{NAME})", 0.35)
def _ranked(f: Found) -> Sequence[Node]:
    cue = f.cue("s")
    counted = f.has("num") or (not cue.hints and f.kinds("x") in "tu")
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


@phrase(rf"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?#?(?P<v>{VAL})(?P<t>{TAB})", 0.35)
def _most_of_kind(f: Found) -> Sequence[Node] | None:
    """By the most female students."""
    cue = f.cue("s")
    if cue.hints:
        return None
    rank = Rank(cue.descending, f.place("t"), _count(f), "count", (), _relative(f))
    return [rank, Equal(None, (f.place("v"),))]


@phrase(rf"[THWpofy&]*(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<a>A)[of]?(?P<c>{NAME})", 0.3)
def _ranked_by_aggregate(f: Found) -> Sequence[Node]:
    cue = f.cue("s")
    return [Rank(cue.descending, f.place("c"), _count(f), f.cue("a").aggregate, (), _relative(f))]


@phrase(rf"(?P<k>n)?(?P<s>S)(?P<m>n)?_?(?P<t>{TAB})(?P<c>{COL})", 0.5)
def _of_oldest(f: Found) -> Sequence[Node] | None:
    """How much did the latest ticket cost?"""
    nodes = _oldest(f)
    return None if nodes is None else [Show(f.place("c")), *nodes]


@phrase(rf"(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<c>{COL})(?P<t>{TAB})", 0.4)
def _rows_by_column(f: Found) -> Sequence[Node]:
    """The highest priced rooms, the 5 most recently opened branches: rows, not prices."""
    rank = Rank(f.cue("s").descending, f.place("c"), _count(f), relative=True)
    return [Entity(f.place("t"), owner=True), rank]


@phrase(rf"[o]?(?:S(?=n))?(?P<k>n)?(?P<s>S)(?P<m>n)?_?(?P<t>{TAB})", 0.3)
def _oldest(f: Found) -> Sequence[Node] | None:
    """The oldest member."""
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Entity(f.place("t"), owner=f.match[0][0] == "o"),
            Rank(cue.descending, None, _count(f), None, cue.hints)]  # fmt: skip


@phrase(rf"[o]?(?P<k>n)?(?P<s>S)(?P<m>n)?(?P<v>{VAL})(?P<t>{TAB})", 0.35)
def _oldest_of_kind(f: Found) -> Sequence[Node] | None:
    nodes = _oldest(f)
    return None if nodes is None else [*nodes, Equal(None, (f.place("v"),))]


@phrase(r"[THWpof]*(?P<k>n)?(?P<s>S)(?P<m>n)?", 0.6)
def _is_oldest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if not cue.hints:
        return None
    return [Rank(cue.descending, None, _count(f), None, cue.hints, relative=True)]


@phrase(rf"[THWpof]*(?P<c>{COL})[THp]*(?P<k>n)?(?P<s>[SA])(?P<m>n)?", 0.4)
def _column_is_largest(f: Found) -> Sequence[Node] | None:
    cue = f.cue("s")
    if cue.kind == "A":
        if cue.aggregate not in ("max", "min"):
            return None
        return [Rank(cue.aggregate == "max", f.place("c"), _count(f), relative=True)]
    return [Rank(cue.descending, f.place("c"), _count(f), relative=True)]


@phrase(rf"[THpo]+(?P<a>A)(?P<c>{COL})", 0.5)
def _with_maximum(f: Found) -> Sequence[Node] | None:
    """With the maximum score: a row."""
    aggregate = f.cue("a").aggregate
    if aggregate not in ("max", "min"):
        return None
    return [Rank(aggregate == "max", f.place("c"), relative=True)]


@phrase(rf"[THWpofy]*(?P<k>n)?(?P<m>M)(?:_o)?(?:{TAB}(?={COL}))?(?P<x>{NAME})?", 0.3)
def _common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.at("x"), f.at("k"))]


@phrase(rf"[THWpofy]*(?P<s>S)(?P<w>_)(?P<x>{NAME})", 0.3)
def _most_done(f: Found) -> Sequence[Node] | None:
    """The most borrowed book."""
    cue, word = f.cue("s"), f.symbols[f.place("w")].text.lower()
    if cue.hints or f.symbols[f.place("s")].text not in ("most", "least"):
        return None
    return [Common(cue.descending, f.place("x"))] if word.endswith(("ed", "en")) else None


@phrase(rf"[THWpofy]*(?P<c>{COL})[TH_p]*(?P<m>M)", 0.4)
def _column_most_common(f: Found) -> Sequence[Node]:
    return [Common(f.cue("m").descending, f.place("c"))]


@phrase(
    rf"[&,p]*(?P<z1>Z)?(?P<r>R)(?P<z2>Z)?[opyf]*(?P<n>#)?(?P<a>A)?(?:{TAB}(?={COL}))?(?P<x>{NAME})(?P<more>(?:[,&]+{COL})*)[p&,]*(?P<z>Z)?",
    0.25,
)
def _sorted(f: Found) -> Sequence[Node]:
    down = next((f.cue(g).descending for g in ("z", "z1", "z2") if f.has(g)), False)
    more = [Sort(each, down) for each in f.places("more", COL)]
    return [Sort(f.place("x"), down, _aggregate(f)), *more]


@phrase(rf"R(?P<e>{TAB})?(?P<c>{COL})(?:o{TAB})?y(?P<x>{NAME})(?P<z>Z)?", 0.3)
def _sort_names(f: Found) -> Sequence[Node]:
    """Sort the employee names by age."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    down = f.has("z") and f.cue("z").descending
    return [*entity, Show(f.place("c")), Sort(f.place("x"), down)]


@phrase(rf"R{TAB}y(?P<x>{NAME})(?P<z>Z)?", 0.3)
def _sort_rows(f: Found) -> Sequence[Node]:
    return [Entity(f.match.start() + 1), Sort(f.place("x"), f.has("z") and f.cue("z").descending)]


@phrase(
    rf"[&,p]*(?P<r>R)?(?P<z>Z)[opyf]*(?P<n>#)?(?P<a>A)?_?(?:{TAB}(?={COL}))?(?P<x>{NAME})?", 0.3
)
def _directed(f: Found) -> Sequence[Node]:
    return [Sort(f.at("x"), f.cue("z").descending, _aggregate(f), f.cue("z").hints)]


@phrase(r"[&,p]*R[&,p]*Z", 0.3)
def _sorted_somehow(f: Found) -> Sequence[Node]:
    last = f.symbols[f.match.end() - 1].cue
    assert last is not None
    return [Sort(None, last.descending, None, last.hints)]


@phrase(r",?(?P<s>S)(?P<f>S)(?=\.|$)", 0.25)
def _first_of_all(f: Found) -> Sequence[Node] | None:
    """..., newest first."""
    cue = f.cue("s")
    if not cue.hints or f.symbols[f.place("f")].text != "first":
        return None
    return [Sort(None, cue.descending, None, cue.hints)]
