"""Things by what is measured of each: more in one period than in another, more than the average of
all, more of one kind than of another; and the average of such measures.

    inspectors | did | more inspections | in 2026 | than in 2025

Every word has its part, or nothing is read.
"""

import re
from collections.abc import Sequence

from sqlglot import exp

from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.sql.joined import named
from mcp_server.nl2sql.stages.compared import against_other
from mcp_server.nl2sql.stages.parts import Measure, Parts
from mcp_server.nl2sql.stages.things import (
    SIGN,
    SURE,
    Asked,
    among,
    asked,
    compared,
    grouped,
    links,
    measure_of,
    number_of,
    of_keys,
    of_things,
)
from mcp_server.nl2sql.words.spans import MONTH
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, Token, lemma, tokenize

_PERIOD = (
    rf"(?:\d{{4}}|(?:the )?(?:first|second|third|fourth|last) (?:half|quarter) of \d{{4}}"
    rf"|q[1-4](?: of)? \d{{4}}|(?:{MONTH})(?: of)? \d{{4}}"
    r"|(?:this|last|the (?:current|previous)) (?:year|quarter|month|week))"
)
_IN = r"(?:in|during|for|over) "
_MORE = r"(?:at least )?twice as many|more|fewer|less|higher|lower|greater|larger|smaller"
_GOING_BY = re.compile(
    r"(?:,| -)? (?:(?:going|judging|judged|counted|counting) by|based on|according to|by)"
    r"(?: the| their)?(?P<date>(?: [a-z]+)? date(?: (?:they|it)(?: (?:was|were))?)?(?: [a-z]+)?)$",
    re.IGNORECASE,
)
"""Which of several dates is meant."""
_THAN_BEFORE = re.compile(
    rf"^(?P<verb>.*?)\b(?P<more>{_MORE})(?: (?P<what>.+?))? (?:{_IN})?(?P<one>{_PERIOD})"
    r" (?:than|as|compared (?:to|with))(?: (?:they|it) (?:did|had|have|was|were))?"
    rf"(?: {_IN}|(?: the)? ones? in)?(?: ?(?P<two>{_PERIOD})"
    r"| ?the (?P<before>year before|previous year|prior year))$",
    re.IGNORECASE,
)
_NOT_THEN = re.compile(
    rf"^(?P<verb>.*?) (?:{_IN})(?P<one>{_PERIOD}),? (?:but|and|yet)(?: (?:had|have|did|made))?"
    r" (?:none|no longer|no more|not any|not one|not again|not|no|never|nothing)(?: at all)?"
    rf"(?: (?P<again>[\w -]+?))? (?:{_IN})(?P<two>{_PERIOD})$",
    re.IGNORECASE,
)
_BOTH_THEN = re.compile(
    rf"^(?P<verb>.*?)(?: (?:{_IN})both| both(?: {_IN.strip()})?) (?P<one>{_PERIOD}),? and"
    rf"(?: {_IN})?(?: ?)(?P<two>{_PERIOD})$",
    re.IGNORECASE,
)
_OVERALL = (
    r"(?:the )?(?:(?P<overall>overall|general|total|global) )?(?:average|mean)"
    r"(?P<across> (?:of|across|over|for|among) (?:all|everyone|every)(?: (?:the )?[\w -]+)?)?"
    r"(?P<of> [\w -]+?)?"
)
_AGAINST_ALL = re.compile(
    r"^(?:that |who |which )?(?:have|has|had|with|whose|where the|got|gets?)(?: an?| the| their)?"
    rf" (?P<what>(?:average|mean|total|sum of|number of) .+?)(?: (?:is|was|that is|of))?"
    rf" {SIGN} {_OVERALL}$",
    re.IGNORECASE,
)
_MORE_THAN_ALL = re.compile(
    rf"^(?P<verb>.*?)\b(?P<sign>more|fewer|less)(?: (?P<what>[\w -]+?))? than {_OVERALL}$",
    re.IGNORECASE,
)
_SO_MANY = re.compile(
    r"^(?P<verb>.*?)\b(?P<sign>more than|over|at least|exactly) "
    rf"(?P<count>\d+|{'|'.join(NUMBER_WORDS)}) (?P<what>[\w -]+)$",
    re.IGNORECASE,
)
_BOUNDS: dict[str, type[exp.Binary]] = {
    "more than": exp.GT, "over": exp.GT, "at least": exp.GTE, "exactly": exp.EQ,
}  # fmt: skip
_LIKELY = re.compile(
    r"\bthan\b|\bat least\b|\bexactly\b|\bas many\b|\b(?:but|and|yet)\b|\bboth\b"
    rf"|\b(?:average|mean)\b|{SIGN}",
    re.IGNORECASE,
)


def measured(question: str, parts: Parts) -> Related | None:
    """The query of a question about things by what is measured of each; None for any other."""
    text = " ".join(question.split())
    dated = ""
    if not _LIKELY.search(text):
        return None
    if (going := _GOING_BY.search(text.rstrip(" ?.!"))) is not None:
        dated, text = going["date"].strip(), text[: going.start()]
    for of in asked(text, dated, parts):
        for read in (_so_many, _than_before, _then_not, _against_all, against_other):
            found = read(of, parts)
            if found is not None:
                return found
    return None


def _than_before(of: Asked, parts: Parts) -> Related | None:
    """Who did more inspections in 2026 than in 2025."""
    match = _THAN_BEFORE.match(of.rest)
    if match is None:
        return None
    two = match["two"]
    if two is None:
        if not match["one"].isdecimal():
            return None
        two = str(int(match["one"]) - 1)
    often = match["what"] is not None and match["what"].lower() == "often"
    found = measure_of(of.things, match["verb"], None if often else match["what"], parts)
    if found is None:
        return None
    measure, key, verb = found
    values = _values(of, measure, verb, (match["one"], two), parts)
    if values is None:
        return None
    more = match["more"].lower()
    first, second = values
    if more.endswith("as many"):
        least = exp.GTE(this=first, expression=exp.Mul(this=number_of("2"), expression=second))
        return _having(of, measure, key, exp.and_(least, _some(first)))
    return _having(of, measure, key, compared(more, first, second))


def _then_not(of: Asked, parts: Parts) -> Related | None:
    """Who sent samples in 2025 but none in 2026; who did so in both years."""
    match = _NOT_THEN.match(of.rest)
    both = _BOTH_THEN.match(of.rest) if match is None else None
    said = match or both
    if said is None:
        return None
    words = tokenize(said["verb"])
    end = next((n for n, token in enumerate(words) if not links(token)), len(words))
    verb, what = _text(words[:end]), _text(words[end:])
    if parts.rows(what) is None:  # that were *borrowed*: the verb says what is counted
        verb, what = _text(words), ""
    again = match["again"] if match is not None else None
    if again and parts.table(again) is not parts.table(what):
        return None
    found = measure_of(of.things, verb, what or None, parts)
    if found is None or not found[0].counts:
        return None
    measure, key, verb = found
    values = _values(of, measure, verb, (said["one"], said["two"]), parts)
    if values is None:
        return None
    then, later = values
    last = _some(later) if match is None else exp.EQ(this=later, expression=number_of("0"))
    return _having(of, measure, key, exp.and_(_some(then), last))


def _against_all(of: Asked, parts: Parts) -> Related | None:
    """With an average score below the overall average; booked more often than the average room."""
    match = _AGAINST_ALL.match(of.rest)
    verb = ""
    if match is None:
        match = _MORE_THAN_ALL.match(of.rest)
        if match is None:
            return None
        verb = match["verb"]
    what = match["what"]
    if what is not None and what.lower() == "often":
        what = None
    elif what is None and "often" not in verb:
        return None
    mean = (match["of"] or "").strip()
    of_them = not mean or mean.lower() == "one" or parts.table(mean) is of.things.table
    if not of_them and (what is None or not _same_words(mean, what)):
        return None
    found = measure_of(of.things, verb, what, parts)
    if found is None:
        return None
    measure, key, _ = found
    whole = exp.select(measure.value.copy())
    averaged = isinstance(measure.value, exp.Avg)
    if averaged and (not mean or match["overall"]):
        rows = measure.standing.select.copy()
        whole = _alone(measure, parts)
    elif isinstance(measure.value, exp.Count | exp.Sum | exp.Avg):
        rows = grouped(measure, key)
        rows.set("expressions", [exp.alias_(measure.value.copy(), "measure")])
        whole = exp.select(exp.Avg(this=exp.column("measure"))).from_(rows.subquery("each_of_them"))
    else:
        return None
    return _having(
        of, measure, key, compared(match["sign"], measure.value.copy(), whole.subquery())
    )


def _alone(measure: Measure, parts: Parts) -> exp.Select:
    """The measure of all rows, whether or not they go with a thing."""
    select = exp.select(measure.value.copy())
    for column in select.find_all(exp.Column):
        column.set("table", None)
    where = measure.standing.conditions()
    if where:
        return measure.standing.select.copy()
    return select.from_(named(measure.table))


def _text(tokens: Sequence[Token]) -> str:
    return " ".join(token.text for token in tokens)


def _values(
    of: Asked, measure: Measure, verb: str, periods: tuple[str, str], parts: Parts
) -> list[exp.Expr] | None:
    """A measure of what was in each of two periods."""
    found = []
    for period in periods:
        when = parts.when(measure, period, of.dated or verb)
        if when is None:
            return None
        some: exp.Expr = exp.Filter(this=measure.value.copy(), expression=exp.Where(this=when))
        if isinstance(measure.value, exp.Sum):
            some = exp.Coalesce(this=some, expressions=[number_of("0")])
        found.append(some)
    return found


def _having(of: Asked, measure: Measure, key: exp.Expr, having: exp.Expr) -> Related:
    return of_keys(of, grouped(measure, key).having(having), measure.sure)


def _so_many(of: Asked, parts: Parts) -> Related | None:
    """Assigned to more than one team, where several tables say something of both."""
    match = _SO_MANY.match(of.rest)
    table = None if match is None else parts.table(match["what"])
    if (
        match is None
        or table is None
        or not parts.only_linked(table, of.things.table, match["verb"])
    ):
        return None
    found = counted_links(of, of.rest, parts)
    return None if found is None else of_things(of, [found[0]], found[1])


def counted_links(of: Asked, text: str, parts: Parts) -> tuple[exp.Expr, float] | None:
    """The condition that a thing goes with so many others: *assigned to more than one team*."""
    match = _SO_MANY.match(text)
    if match is None or parts.table(match["what"]) is None:
        return None
    found = measure_of(of.things, match["verb"], f"number of {match['what']}", parts)
    if found is None:
        return None
    measure, key, _ = found
    word = match["count"].lower()
    count = int(word) if word.isdecimal() else NUMBER_WORDS[word]
    kind = _BOUNDS[match["sign"].lower()]
    bound = kind(this=measure.value.copy(), expression=number_of(str(count)))
    return among(of, grouped(measure, key).having(bound)), SURE * measure.sure


def _some(value: exp.Expr) -> exp.Expr:
    return exp.GT(this=value.copy(), expression=number_of("0"))


def _same_words(one: str, other: str) -> bool:
    words = {lemma(word) for word in other.lower().split()}
    return {lemma(word) for word in one.lower().split()} <= words
