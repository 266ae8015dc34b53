"""Averages of what is counted or added up for each of some things: *the average number of orders
per customer, among customers that have any*.

Things of which there are none count only where nothing is said against it; that is for the grammar.
"""

import re
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import root
from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.relations.phrases import AUXILIARY, PREPOSITIONS
from mcp_server.nl2sql.stages.parts import Parts
from mcp_server.nl2sql.stages.things import SURE, grouped, links, measure_of
from mcp_server.nl2sql.words.spans import UNITS
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, Token, lemma, stem, tokenize

_ASKED = (
    r"(?:(?:what|which) (?:is|was|are|were) |(?:please )?(?:show|give|find|tell|list|compute"
    r"|calculate|return)(?: me)? )?(?:the |our )?"
)
_MEASURED = (
    r"(?P<mean>average|mean|median|highest|lowest|maximum|minimum) "
    r"(?P<what>(?:number|count|total|sum) .+?)"
    r",? (?:per|for each|for every|by|of each|in each|on each) (?P<each>[\w-]+(?: [\w-]+)??)"
)
_KEPT = (
    r"(?:(?:but )?(?:only )?(?:among|counting|considering|including|taking|using|over"
    r"|across|for|of|looking at|with)(?: only| just)?|only|just)"
)
_LEFT_OUT = (
    r"(?:excluding|ignoring|leaving out|not counting|without counting|skipping|disregarding"
    r"|omitting|except(?: for)?|not including|apart from)"
)
_WHO = r"(?:the |all |those |any )?(?P<who>[\w -]+?)"
_ANY = rf"(?P<some>(?:at least|more than|over) (?:an?|{'|'.join(NUMBER_WORDS)}|\d+)|any|some|an?)"
_THAT_HAVE = re.compile(
    rf"^{_KEPT} {_WHO} (?:that|who|which|with|having)(?P<verb>(?: [\w-]+)*?)"
    rf"(?: {_ANY})?(?: (?!.*\b(?:at least|more than|over|any|some)\b)(?P<of>[\w -]+?))?$",
    re.IGNORECASE,
)
_THAT_HAVE_NONE = re.compile(
    rf"^{_LEFT_OUT} {_WHO} (?:(?:that|who|which|with|having)(?P<verb>(?: [\w-]+)*?) (?:no|none"
    r"|zero|not any)|without|where there (?:are|were|is|was) (?:no|none)|that have not)"
    r"(?: any| a| an| single| one)*(?: (?P<of>[\w -]+?))?$",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    rf"^{_ASKED}{_MEASURED}(?P<when> (?:in|during) [\w -]+?)?"
    rf"(?:,? \(?(?P<which>(?:{_KEPT}|{_LEFT_OUT}) .+?)\)?)?[?.! ]*$",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"^(?P<which>(?:{_KEPT}|{_LEFT_OUT}) .+?), {_ASKED}{_MEASURED}"
    r"(?P<when> (?:in|during) [\w -]+?)?[?.! ]*$",
    re.IGNORECASE,
)
_AGGREGATES: dict[str, type[exp.AggFunc]] = {
    "average": exp.Avg, "mean": exp.Avg, "highest": exp.Max, "maximum": exp.Max,
    "lowest": exp.Min, "minimum": exp.Min,
}  # fmt: skip
THEM = frozenset({"those", "one", "these", "thing", "case"})


@dataclass(frozen=True, slots=True)
class _Least:
    """How many of what is measured a thing has at least, to count."""

    number: int


def averaged(question: str, parts: Parts) -> Related | None:
    """The query of a question for the average of a measure of each thing; None for any other."""
    text = " ".join(question.split())
    match = _BEHIND.match(text)
    if match is None or not match["which"]:
        match = _BEFORE.match(text) or match
    if match is None:
        return None
    each, when = match["each"].lower(), (match["when"] or "").strip()
    which, what = match["which"], match["what"]
    least: _Least | None = _Least(1)
    if which:
        least = _least(which, each, what)
    if least is None:
        return None
    rows = _by_time(each, what, when, parts) if each in UNITS else None
    if rows is None and each not in UNITS:
        rows = _by_thing(each, what, when, parts)
    if rows is None:
        return None
    grouped_rows, sure, counts = rows
    if least.number > 1:
        if not counts:
            return None
        bound = exp.Literal.number(least.number)
        count = grouped_rows.expressions[0].unalias().copy()
        grouped_rows = grouped_rows.having(exp.GTE(this=count, expression=bound))
    if not which and counts and each not in UNITS:
        return None
    mean = match["mean"].lower()
    measure: exp.Expr = exp.column("measure")
    if mean == "median":
        half = exp.PercentileCont(this=exp.Literal.number("0.5"))
        order = exp.Order(expressions=[exp.Ordered(this=measure, nulls_first=False)])
        value: exp.Expr = exp.WithinGroup(this=half, expression=order)
    else:
        value = _AGGREGATES[mean](this=measure)
    query = exp.select(value).from_(grouped_rows.subquery("each_of_them"))
    return Related(query, SURE * sure, special=bool(which) or not counts)


def _least(which: str, each: str, what: str) -> _Least | None:
    """How many a restriction asks for; None where it says something else of the things."""
    kept = _THAT_HAVE.match(which)
    match = kept or _THAT_HAVE_NONE.match(which)
    if match is None:
        return _empty(which, each)
    who = lemma(match["who"].lower().split()[-1])
    if who not in THEM and who not in {lemma(word) for word in each.split()}:
        return None
    measured = {lemma(word) for word in what.lower().split()}
    some = match["some"] if kept is not None else None
    verb, of = tokenize(match["verb"] or ""), tokenize(match["of"] or "")
    if not all(_adds_nothing(token, measured) for token in of):
        return None
    if not all(_adds_nothing(token, measured) or _was_done(token) for token in verb):
        return None
    if some is None:
        said = bool(measured & {token.lemma for token in (*verb, *of)})
        if kept is not None and any(_was_done(token) and not links(token) for token in verb):
            return None  # among those that were *approved*
        return _Least(1) if kept is None or said else None
    number = some.lower().split()[-1]
    count = int(number) if number.isdecimal() else int(NUMBER_WORDS.get(number, 1))
    return _Least(count + (some.lower().split()[0] in ("more", "over")))


def _empty(which: str, each: str) -> _Least | None:
    """Excluding empty days."""
    words = [lemma(word) for word in which.lower().split()]
    known = {"empty", "zero", "idle", *each.split(), "the", "all", "any", "those"}
    rest = [word for word in words if word not in known]
    left_out = re.match(rf"^{_LEFT_OUT} ", which, re.IGNORECASE) is not None
    return _Least(1) if left_out and "empty" in words and len(rest) <= 2 else None


def _adds_nothing(token: Token, measured: set[str]) -> bool:
    """Whether a word of a restriction says no more than that there is what is measured."""
    word = token.lemma
    small = word in THEM or word in AUXILIARY or word in PREPOSITIONS
    return small or word in measured or links(token)


def _was_done(token: Token) -> bool:
    """Whether a word before the number says what was done: *billed* at least one fee."""
    return token.text.lower().endswith("ed") or root(token.text) != stem(token.text)


def _by_time(
    each: str, what: str, when: str, parts: Parts
) -> tuple[exp.Select, float, bool] | None:
    """A measure of each day on which there is any."""
    counted = re.sub(r"^(?:count|number) of ", "number of ", what)
    found = parts.answer(f"{counted} per {each} {when}".strip())
    tree = found.tree
    if not isinstance(tree, exp.Select) or tree.args.get("limit"):
        return None
    measures = [e.unalias() for e in tree.expressions if e.find(exp.AggFunc) is not None]
    group = tree.args.get("group")
    if len(tree.expressions) != 2 or len(measures) != 1 or group is None:
        return None
    if not isinstance(measures[0], exp.Count | exp.Sum) or len(group.expressions) != 1:
        return None
    counts = isinstance(measures[0], exp.Count)
    if counts == what.lower().startswith(("total", "sum")):
        return None
    rows = tree.copy()
    rows.set("order", None)
    rows.set("expressions", [exp.alias_(measures[0].copy(), "measure")])
    return rows, found.sure, counts


def _by_thing(
    each: str, what: str, when: str, parts: Parts
) -> tuple[exp.Select, float, bool] | None:
    """A measure of each thing that there is any of."""
    table = parts.table(each)
    things = None if table is None else parts.things(each, table)
    found = None if things is None else measure_of(things, "", what, parts)
    if found is None:
        return None
    measure, key, _ = found
    if when:
        period = parts.when(measure, when, "")
        if period is None:
            return None
        measure.standing.select.where(period, copy=False)
    if not isinstance(measure.value, exp.Count | exp.Sum):
        return None
    rows = grouped(measure, key)
    rows.set("expressions", [exp.alias_(measure.value.copy(), "measure")])
    return rows, measure.sure, measure.counts
