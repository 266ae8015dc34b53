"""Phrases for what is shown and whose it is: columns, aggregates, counts, shares, arithmetic."""

from collections.abc import Sequence
from typing import Literal

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AND,
    BETWEEN,
    BOTH,
    BY,
    COL,
    COLUMN_OR_TABLE,
    COMMA,
    DISTINCT,
    EACH,
    END,
    FIGURE,
    FOR,
    FULL_STOP,
    HAVE,
    HOW_MANY,
    HOW_OFTEN,
    IN,
    LAST,
    LEADING,
    LISTING,
    LISTING_OR,
    MOST,
    NAME,
    NOT,
    NUMBER,
    OF,
    OR,
    OR_MORE,
    SHARE,
    TAB,
    THAN,
    THAT,
    TIMES,
    VAL,
    WORD,
    before,
)
from mcp_server.nl2sql.grammar.nodes import (
    Count,
    Difference,
    Entity,
    Equal,
    Flag,
    HowMany,
    InBoth,
    Lasting,
    Node,
    Product,
    Share,
    Show,
    Weighted,
)
from mcp_server.nl2sql.grammar.phrases.matching import Found, aggregate_of, phrase
from mcp_server.nl2sql.grammar.symbols import NAMED_WELL
from mcp_server.nl2sql.schema.derived import LASTING, UNITS
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.words.tokens import lemma

ARITHMETIC: dict[str, Literal["-", "*", "/"]] = {
    "difference": "-", "product": "*", "ratio": "/", "quotient": "/",
}  # fmt: skip

OPERATORS = {"times": "*", "*": "*", "x": "*", "minus": "-", "plus": "+", "+": "+", "/": "/"}
"""Words and signs between two columns."""


@phrase(DISTINCT("d").maybe + COL("c"), 0.3)
def _column(f: Found) -> Sequence[Node] | None:
    if _says_who(f):
        return None
    return [Show(f.place("c"), distinct=f.has("d"))]


def _says_who(f: Found) -> bool:
    """Whether a yes-or-no column says of people which are asked for: who *works remotely*."""
    ref = f.symbols[f.place("c")].ref
    columns = ref.columns if ref is not None else ()
    flags = bool(columns) and all(column.kind is Kind.BOOLEAN for column, _ in columns)
    return flags and f.match.start() == 1 and f.symbols[0].text.lower() == "who"


@phrase((COL + (LISTING.some + COL).some)("l") + (OF | FOR) + TAB("t"), 0.5)
def _listed(f: Found) -> Sequence[Node]:
    """The name, age and city of the members."""
    shows = [Show(each) for each in f.places("l", COL)]
    return [*shows, Entity(f.place("t"), owner=True)]


@phrase(DISTINCT("d").maybe + TAB("e") + COL("c"), 0.32)
def _compound(f: Found) -> Sequence[Node]:
    """The room price: a column of a room."""
    return [Entity(f.place("e")), Show(f.place("c"), distinct=f.has("d"))]


@phrase(
    (AGGREGATE + (LISTING_OR.any + FIGURE).any)("a") + (OF | FOR).maybe
    + DISTINCT("d").maybe + TAB("e") + COL("c"), 0.32,
)  # fmt: skip
def _aggregated_compound(f: Found) -> Sequence[Node]:
    kinds = [aggregate_of(f.symbols[each]) for each in f.places("a", FIGURE)]
    return [Entity(f.place("e")), *(Show(f.place("c"), kind, f.has("d")) for kind in kinds)]


@phrase(
    (AGGREGATE + (LISTING_OR.any + FIGURE).any)("a") + (OF | FOR | WORD).maybe
    + DISTINCT("d").maybe + COL("c") + (COMMA.maybe + AND.maybe + COL).any("more"), 0.3,
)  # fmt: skip
def _aggregated(f: Found) -> Sequence[Node] | None:
    at = f.place("c")
    if _of_things(f, at):
        return None
    found: list[Node] = [
        Show(at, aggregate_of(f.symbols[each]), f.has("d")) for each in f.places("a", FIGURE)
    ]
    if not f.has("more"):
        return found
    aggregate = found[-1].aggregate if isinstance(found[-1], Show) else None
    return [*found, *(Show(each, aggregate) for each in f.places("more", COL))]


@phrase((AGGREGATE + (LISTING_OR.any + FIGURE).any)("a") + (OF | FOR).maybe + COL("c"), 0.32)
def _aggregated_alone(f: Found) -> Sequence[Node] | None:
    if _of_things(f, f.place("c")):
        return None
    return [Show(f.place("c"), aggregate_of(f.symbols[each])) for each in f.places("a", FIGURE)]


def _of_things(f: Found, at: int) -> bool:
    """The average number of orders, where those are no column of numbers."""
    ref = f.symbols[at].ref
    number = any(f.symbols[each].text.endswith("number of") for each in f.places("a", AGGREGATE))
    return number and not any(c.counts for c, _ in (ref.columns if ref is not None else ()))


@phrase(COL("c") + COMMA.maybe + (AGGREGATE + (LISTING_OR.any + AGGREGATE).some)("a"), 0.4)
def _aggregated_behind(f: Found) -> Sequence[Node]:
    return [Show(f.place("c"), aggregate_of(f.symbols[each])) for each in f.places("a", AGGREGATE)]


TRAILING = frozenset({"in total", "on average", "overall", "average", "total"})
"""What says behind a column how its values are taken together."""


@phrase(
    HOW_MANY.maybe + COL("c") + (TAB | WORD | IN).any + AGGREGATE("a")
    + before(IN | OF | FOR | EACH | BY | FULL_STOP | COMMA, LAST), 0.35,
)  # fmt: skip
def _taken_together(f: Found) -> Sequence[Node] | None:
    """What repairs cost on average; how many minutes performances take in total."""
    if f.symbols[f.place("a")].text.lower() not in TRAILING:
        return None
    return [Show(f.place("c"), f.cue("a").aggregate)]


@phrase((MOST + (LISTING_OR.any + FIGURE).any)("s") + TAB("e").maybe + COL("c"), 0.55)
def _extreme(f: Found) -> Sequence[Node]:
    """The highest price: a value."""
    entity: list[Node] = [Entity(f.place("e"))] if f.has("e") else []
    kinds = [aggregate_of(f.symbols[each]) for each in f.places("s", FIGURE)]
    return [*entity, *(Show(f.place("c"), kind) for kind in kinds)]


@phrase(AGGREGATE("a") + TAB("t"), 0.5)
def _total_rows(f: Found) -> Sequence[Node]:
    """The total purchases: how many. The average rating: of what rows measure."""
    aggregate = f.cue("a").aggregate
    return [Count(f.place("t"))] if aggregate == "sum" else [Show(f.place("t"), aggregate)]


@phrase(COL("c") + OF + TAB("t") + AND + OF.maybe + TAB("u"), 0.45)
def _of_both(f: Found) -> Sequence[Node]:
    """The names of dogs and owners."""
    at = f.place("c")
    return [Show(at), Entity(f.place("t"), owner=True), Show(at), Entity(f.place("u"), owner=True)]


@phrase(
    (COL + (LISTING.some + COL).any)("c") + (OF | FOR).some + TAB("t") + (AND | OR)
    + OF.maybe + TAB("u") + END, 0.4,
)  # fmt: skip
def _of_either(f: Found) -> Sequence[Node]:
    """The phone numbers of all members and branches, of which each has its own."""
    shows = [Show(each) for each in f.places("c", COL)]
    return [*shows, InBoth(f.place("t"), f.place("u"), "union")]


@phrase(HOW_OFTEN, 0.3)
def _times(f: Found) -> Sequence[Node]:
    return [Count(None)]


@phrase(LEADING.any + THAN("o").maybe + NUMBER("n") + OR_MORE("p").maybe + TIMES, 0.3)
def _so_often(f: Found) -> Sequence[Node]:
    """More than three times."""
    said = next((group for group in ("o", "p") if f.has(group)), None)
    return [HowMany(None, f.operator(said) if said else "=", f.place("n"))]


@phrase(HOW_MANY + DISTINCT + (COL + (LISTING.some + COL).some)("l"), 0.35)
def _counted_each(f: Found) -> Sequence[Node]:
    """How many different cities and countries."""
    return [Count(each, distinct=True) for each in f.places("l", COL)]


@phrase(HOW_MANY + DISTINCT("d").maybe + (WORD | OF).any + TAB("e") + COL("c"), 0.4)
def _counted_compound(f: Found) -> Sequence[Node] | None:
    """How many different product types."""
    ref = f.symbols[f.place("c")].ref
    if ref is None or ref.best_column < NAMED_WELL:
        return None
    return [Entity(f.place("e")), Count(f.place("c"), f.has("d"))]


@phrase(HOW_MANY + DISTINCT.maybe + VAL("v"), 0.4)
def _counted_kind(f: Found) -> Sequence[Node]:
    """How many dogs, where dogs are a value."""
    return [Count(f.place("v")), Equal(None, (f.place("v"),))]


@phrase(HOW_MANY + (IN | HAVE | THAT).any + before(FULL_STOP | EACH, LAST), 0.5)
def _how_many(f: Found) -> Sequence[Node]:
    """... and how many?"""
    return [Count(None)]


@phrase(HOW_MANY, 0.9)
def _how_many_somethings(f: Found) -> Sequence[Node]:
    """How many veterans, where no name says what those are."""
    return [Count(None)]


@phrase(BOTH + (BY | IN | FOR).maybe + TAB("t") + AND + (BY | IN | FOR).maybe + TAB("u"), 0.35)
def _in_both(f: Found) -> Sequence[Node]:
    """Where both owners and guests live."""
    return [InBoth(f.place("t"), f.place("u"))]


@phrase(LEADING.any + BOTH + VAL("v") + TAB("t").maybe + AND + VAL("w") + TAB("u"), 0.35)
def _both_kinds(f: Found) -> Sequence[Node]:
    """Both foreign students and local students."""
    return [Entity(f.place("u")), Equal(None, (f.place("v"), f.place("w")), joint=BOTH.letter)]


@phrase(
    HOW_MANY + DISTINCT("d").maybe + (WORD | OF).any + (VAL + LISTING_OR.any).any("v")
    + NAME("x"), 0.3,
)  # fmt: skip
def _counted(f: Found) -> Sequence[Node]:
    found: list[Node] = [Count(f.place("x"), f.has("d"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


@phrase(SHARE + (VAL + LISTING_OR.any).any("v") + TAB("x"), 0.3)
def _share(f: Found) -> Sequence[Node]:
    found: list[Node] = [Share(f.place("x"))]
    if f.has("v"):
        found.append(Equal(None, tuple(f.places("v", VAL))))
    return found


@phrase(SHARE + AGGREGATE("a").maybe + OF.maybe + COL("c"), 0.3)
def _share_of_total(f: Found) -> Sequence[Node] | None:
    """The share of the total salary, of each department."""
    at = f.place("c")
    if not _adds_up(f, at) or (f.has("a") and f.cue("a").aggregate != "sum"):
        return None
    return [Share(at, of=at)]


@phrase(
    SHARE + AGGREGATE.maybe + OF.maybe + COL("c") + (THAT | HAVE | IN | BY | TAB | WORD).some
    + COL("d"), 0.4,
)  # fmt: skip
def _share_of_one_in_other(f: Found) -> Sequence[Node] | None:
    """The percentage of the amount that was paid, where that is a column of its own."""
    at, part = f.place("c"), f.place("d")
    return [Share(at, of=at, part=part)] if _adds_up(f, at) and _adds_up(f, part) else None


def _adds_up(f: Found, at: int) -> bool:
    ref = f.symbols[at].ref
    if ref is None or ref.best_column < ref.best_table:
        return False
    return any(c.adds_up for c, score in ref.columns if score >= NAMED_WELL)


@phrase(SHARE + NOT("x").maybe + COL("c") + TAB("t"), 0.25)
def _share_flagged(f: Found) -> Sequence[Node]:
    """The percentage of retired members."""
    return [Share(f.place("t")), Flag(f.place("c"), f.has("x"))]


@phrase(
    WORD + (BETWEEN | COLUMN_OR_TABLE | OF | IN).any + FIGURE("a") + COL("c").maybe
    + AND + FIGURE("b") + COL("d"), 0.5,
)  # fmt: skip
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


@phrase(WORD + (BETWEEN | OF | IN).any + COL("c") + AND + COL("d"), 0.45)
def _arithmetic(f: Found) -> Sequence[Node] | None:
    """The difference between X and Y; the ratio of X to Y."""
    operator = ARITHMETIC.get(f.symbols[f.match.start()].text.lower())
    if operator is None:
        return None
    return [Difference(operator, Show(f.place("c")), Show(f.place("d")))]


@phrase(
    AGGREGATE("a").maybe + (WORD | COL)("u") + (IN | OF | BETWEEN).some + COL("c") + WORD.maybe
    + (AND | IN).some + COL("d") + WORD.maybe, 0.3,
)  # fmt: skip
def _lasting(f: Found) -> Sequence[Node] | None:
    """The average number of days between order date and ship date; hours from arrival to start."""
    word = lemma(f.symbols[f.place("u")].text.split()[-1])
    dated = all(
        any(column.kind is Kind.DATE for column, _ in ref.columns)
        for group in ("c", "d")
        if (ref := f.symbols[f.place(group)].ref) is not None
    )
    if not dated or word not in (*UNITS, *LASTING):
        return None
    unit = word if word in UNITS else ""
    aggregate = f.cue("a").aggregate if f.has("a") else None
    return [Lasting(unit, f.place("c"), f.place("d"), aggregate)]


@phrase(AGGREGATE("a").maybe + (OF | FOR).maybe + COL("c") + WORD("o") + COL("d"), 0.3)
def _product(f: Found) -> Sequence[Node] | None:
    """Quantity times unit price; the total price * weight."""
    operator = OPERATORS.get(f.symbols[f.place("o")].text.lower())
    if operator is None:
        return None
    aggregate = f.cue("a").aggregate if f.has("a") else None
    return [Product(operator, f.place("c"), f.place("d"), aggregate)]


@phrase(
    AGGREGATE("a") + OF.maybe + COL("c") + (OF | FOR | IN | TAB).any + WORD("w") + BY + COL("d"),
    0.3,
)
def _weighted(f: Found) -> Sequence[Node] | None:
    """The average price of the lines, weighted by quantity."""
    return _by_weight(f)


@phrase(
    WORD("w") + AGGREGATE("a") + OF.maybe + COL("c") + (OF | FOR | IN | TAB).any + BY + COL("d"),
    0.3,
)
def _weighted_before(f: Found) -> Sequence[Node] | None:
    return _by_weight(f)


def _by_weight(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.place("w")].text.lower() != "weighted" or f.cue("a").aggregate != "avg":
        return None
    return [Weighted(f.place("c"), f.place("d"))]


@phrase(WORD + OF + COL("c") + IN + COL("d"), 0.45)
def _ratio(f: Found) -> Sequence[Node] | None:
    if f.symbols[f.match.start()].text.lower() != "ratio":
        return None
    return [Difference("/", Show(f.place("c")), Show(f.place("d")))]
