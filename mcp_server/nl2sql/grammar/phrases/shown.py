"""Phrases for what is shown and whose it is: columns, aggregates, counts, shares, arithmetic."""

from collections.abc import Sequence
from typing import Literal

from mcp_server.nl2sql.grammar.nodes import (
    Count,
    Difference,
    Entity,
    Equal,
    Flag,
    HowMany,
    InBoth,
    Node,
    Share,
    Show,
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
from mcp_server.nl2sql.grammar.symbols import NAMED_WELL

ARITHMETIC: dict[str, Literal["-", "*", "/"]] = {
    "difference": "-", "product": "*", "ratio": "/", "quotient": "/",
}  # fmt: skip


@phrase(rf"(?P<d>D)?(?P<c>{COL})", 0.3)
def _column(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), distinct=f.has("d"))]


@phrase(rf"(?P<l>{COL}(?:[,&]+{COL})+)[of](?P<t>{TAB})", 0.5)
def _listed(f: Found) -> Sequence[Node]:
    """The name, age and city of the members."""
    shows = [Show(each) for each in f.places("l", COL)]
    return [*shows, Entity(f.place("t"), owner=True)]


@phrase(rf"(?P<d>D)?(?P<e>{TAB})(?P<c>{COL})", 0.32)
def _compound(f: Found) -> Sequence[Node]:
    """The room price: a column of a room."""
    return [Entity(f.place("e")), Show(f.place("c"), distinct=f.has("d"))]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of]?(?P<d>D)?(?P<e>{TAB})(?P<c>{COL})", 0.32)
def _aggregated_compound(f: Found) -> Sequence[Node]:
    kinds = [aggregate_of(f.symbols[each]) for each in f.places("a", "[AS]")]
    return [Entity(f.place("e")), *(Show(f.place("c"), kind, f.has("d")) for kind in kinds)]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of_]?(?P<d>D)?(?P<c>{COL})(?P<more>(?:,?&?{COL})*)", 0.3)
def _aggregated(f: Found) -> Sequence[Node]:
    at = f.place("c")
    found: list[Node] = [
        Show(at, aggregate_of(f.symbols[each]), f.has("d")) for each in f.places("a", "[AS]")
    ]
    if not f.has("more"):
        return found
    aggregate = found[-1].aggregate if isinstance(found[-1], Show) else None
    return [*found, *(Show(each, aggregate) for each in f.places("more", COL))]


@phrase(rf"(?P<a>A(?:[,&|]*[AS])*)[of]?(?P<c>{COL})", 0.32)
def _aggregated_alone(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), aggregate_of(f.symbols[each])) for each in f.places("a", "[AS]")]


@phrase(rf"(?P<c>{COL})[,]?(?P<a>A(?:[,&|]*A)+)", 0.4)
def _aggregated_behind(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), aggregate_of(f.symbols[each])) for each in f.places("a", "A")]


@phrase(rf"(?P<s>S(?:[,&|]*[SA])*)(?P<e>{TAB})?(?P<c>{COL})", 0.55)
def _extreme(f: Found) -> Sequence[Node]:
    """The highest price: a value."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    kinds = [aggregate_of(f.symbols[each]) for each in f.places("s", "[SA]")]
    return [*entity, *(Show(f.place("c"), kind) for kind in kinds)]


@phrase(rf"(?P<a>A)(?P<t>{TAB})", 0.5)
def _total_rows(f: Found) -> Sequence[Node]:
    """The total purchases: how many. The average rating: of what rows measure."""
    aggregate = f.cue("a").aggregate
    return [Count(f.place("t"))] if aggregate == "sum" else [Show(f.place("t"), aggregate)]


@phrase(rf"(?P<c>{COL})o(?P<t>{TAB})&o?(?P<u>{TAB})", 0.45)
def _of_both(f: Found) -> Sequence[Node]:
    """The names of dogs and owners."""
    at = f.place("c")
    return [Show(at), Entity(f.place("t"), owner=True), Show(at), Entity(f.place("u"), owner=True)]


@phrase(rf"(?P<c>{COL}(?:[,&]+{COL})*)[of]+(?P<t>{TAB})(?:&|\|)o?(?P<u>{TAB})(?=\.|$)", 0.4)
def _of_either(f: Found) -> Sequence[Node]:
    """The phone numbers of all members and branches, of which each has its own."""
    shows = [Show(each) for each in f.places("c", COL)]
    return [*shows, InBoth(f.place("t"), f.place("u"), "union")]


@phrase(r"m", 0.3)
def _times(f: Found) -> Sequence[Node]:
    return [Count(None)]


@phrase(r"[THWpofy]*(?P<o>O)?(?P<n>n)(?P<p>\+)?x", 0.3)
def _so_often(f: Found) -> Sequence[Node]:
    """More than three times."""
    said = next((group for group in ("o", "p") if f.has(group)), None)
    return [HowMany(None, f.operator(said) if said else "=", f.place("n"))]


@phrase(rf"#D(?P<l>{COL}(?:[,&]+{COL})+)", 0.35)
def _counted_each(f: Found) -> Sequence[Node]:
    """How many different cities and countries."""
    return [Count(each, distinct=True) for each in f.places("l", COL)]


@phrase(rf"#(?P<d>D)?[_o]*(?P<e>{TAB})(?P<c>{COL})", 0.4)
def _counted_compound(f: Found) -> Sequence[Node] | None:
    """How many different product types."""
    ref = f.symbols[f.place("c")].ref
    if ref is None or ref.best_column < NAMED_WELL:
        return None
    return [Entity(f.place("e")), Count(f.place("c"), f.has("d"))]


@phrase(rf"#D?(?P<v>{VAL})", 0.4)
def _counted_kind(f: Found) -> Sequence[Node]:
    """How many dogs, where dogs are a value."""
    return [Count(f.place("v")), Equal(None, (f.place("v"),))]


@phrase(r"#[pHT]*(?=[.G]|$)", 0.5)
def _how_many(f: Found) -> Sequence[Node]:
    """... and how many?"""
    return [Count(None)]


@phrase(r"#", 0.9)
def _how_many_somethings(f: Found) -> Sequence[Node]:
    """How many veterans, where no name says what those are."""
    return [Count(None)]


@phrase(rf"2[ypf]?(?P<t>{TAB})&[ypf]?(?P<u>{TAB})", 0.35)
def _in_both(f: Found) -> Sequence[Node]:
    """Where both owners and guests live."""
    return [InBoth(f.place("t"), f.place("u"))]


@phrase(rf"[THWpofy]*2(?P<v>{VAL})(?P<t>{TAB})?&(?P<w>{VAL})(?P<u>{TAB})", 0.35)
def _both_kinds(f: Found) -> Sequence[Node]:
    """Both foreign students and local students."""
    return [Entity(f.place("u")), Equal(None, (f.place("v"), f.place("w")), joint="2")]


@phrase(rf"#(?P<d>D)?[_o]*(?P<v>(?:{VAL}[,&|]*)*)(?P<x>{NAME})", 0.3)
def _counted(f: Found) -> Sequence[Node]:
    found: list[Node] = [Count(f.place("x"), f.has("d"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


@phrase(rf"%(?P<v>(?:{VAL}[,&|]*)*)(?P<x>{TAB})", 0.3)
def _share(f: Found) -> Sequence[Node]:
    found: list[Node] = [Share(f.place("x"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


@phrase(rf"%(?P<x>X)?(?P<c>{COL})(?P<t>{TAB})", 0.25)
def _share_flagged(f: Found) -> Sequence[Node]:
    """The percentage of retired members."""
    return [Share(f.place("t")), Flag(f.place("c"), f.has("x"))]


@phrase(rf"_[Kbop]*(?P<a>[AS])(?P<c>{COL})?&(?P<b>[AS])(?P<d>{COL})", 0.5)
def _difference_of_aggregates(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.match.start()].text.lower() != "difference":
        return None
    at = f.place("d")
    sides = []
    for group in ("a", "b"):
        cue = f.cue(group)
        sides.append(Show(f.place("c") if group == "a" and f.has("c") else at,
                          cue.aggregate or ("max" if cue.descending else "min")))  # fmt: skip
    return [Difference("-", *sides)]


@phrase(rf"_[Kop]*(?P<c>{COL})&(?P<d>{COL})", 0.45)
def _arithmetic(f: Found) -> Sequence[Node] | None:
    """The difference between X and Y; the ratio of X to Y."""
    operator = ARITHMETIC.get(f.symbols[f.match.start()].text.lower())
    if operator is None:
        return None
    return [Difference(operator, Show(f.place("c")), Show(f.place("d")))]


@phrase(rf"_o(?P<c>{COL})p(?P<d>{COL})", 0.45)
def _ratio(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.match.start()].text.lower() != "ratio":
        return None
    return [Difference("/", Show(f.place("c")), Show(f.place("d")))]
