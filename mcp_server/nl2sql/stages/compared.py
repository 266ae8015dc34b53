"""Things of which one measure is more than another, each of rows of its own: *with invoices of more
than half of their total budget*, *with more bookings than visits*.
"""

import re

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import root
from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.stages.parts import Parts
from mcp_server.nl2sql.stages.things import (
    LESS,
    SIGN,
    Asked,
    compared,
    grouped,
    measure_of,
    number_of,
    of_keys,
)
from mcp_server.nl2sql.words.tokens import lemma

_PART = (
    r"(?:(?P<factor>half|a third|a quarter|two thirds|three quarters|twice|double|three times"
    r"|\d+(?:\.\d+)? (?:times|percent|%)|\d+(?:\.\d+)?%)(?: of| as (?:much|many) as)? )?"
)
_FACTORS = {
    "half": "0.5", "a third": "1.0 / 3", "a quarter": "0.25", "two thirds": "2.0 / 3",
    "three quarters": "0.75", "twice": "2", "double": "2", "three times": "3",
}  # fmt: skip
_AGAINST_OTHER = re.compile(
    r"^(?:that |who |which )?(?:have|has|had|with|whose|where the|got)(?: an?| the| their)?"
    rf" (?P<one>.+?)(?: (?:is|are|was|were|of|worth|adding up to))? {SIGN}"
    rf" {_PART}(?:the |their |its )?(?P<other>.+)$",
    re.IGNORECASE,
)
_DONE_FOR = re.compile(
    r"^(?:(?:that|who|which) )?(?:have been|has been|had been|were|was|are|got) (?P<did>\w+ed)"
    rf" by(?: the| our)? (?P<doer>[\w -]+?) (?:for )?{SIGN} {_PART}(?:the |their |its )?"
    r"(?P<other>.+)$",
    re.IGNORECASE,
)
_MORE_OF_ONE = re.compile(
    r"^(?P<verb>.*?)\b(?P<more>more|fewer) (?P<one>[\w -]+?) than (?P<other>[\w -]+)$",
    re.IGNORECASE,
)


def against_other(of: Asked, parts: Parts) -> Related | None:
    """With invoices of more than half of their total budget; with more bookings than visits."""
    match = _AGAINST_OTHER.match(of.rest)
    one: list[str] = []
    verb = ""
    done = _DONE_FOR.match(of.rest)
    if match is not None and done is None:
        one, other = [match["one"]], match["other"]
        if other.lower().startswith("total ") and parts.table(one[0]) is not None:
            one = [f"total {one[0]}"]  # expenses of more than half of the total budget
    elif (match := done) is not None:
        doer = " ".join(lemma(word) for word in match["doer"].split())
        noun = root(match["did"])
        one = [
            f"total {' '.join(table.words)}"
            for table in parts.graph.tables
            if root(table.words[-1]) == noun and " ".join(table.words[:-1]) in (doer, "")
        ]
        other = match["other"]
    elif (match := _MORE_OF_ONE.match(of.rest)) is not None:
        one, other, verb = (
            [f"number of {match['one']}"],
            f"number of {match['other']}",
            match["verb"],
        )
        if parts.table(match["one"]) is None or parts.table(match["other"]) is None:
            return None
    if match is None or len(one) != 1:
        return None
    if re.fullmatch(r"[\d.,]+(?: .*)?", other):
        return None
    sides = [measure_of(of.things, verb, text, parts) for text in (one[0], other)]
    if sides[0] is None or sides[1] is None:
        return None
    (left, left_key, _), (right, right_key, _) = sides[0], sides[1]
    if left.table is right.table or left.table is of.things.table or right.table is of.things.table:
        return None
    if left.counts != right.counts:
        return None
    bare = (isinstance(each.value, exp.Count | exp.Sum | exp.Avg) for each in (left, right))
    if not all(bare):
        return None
    queries = []
    for measure, key in ((left, left_key), (right, right_key)):
        rows = grouped(measure, key)
        rows.set("expressions", [
            exp.alias_(key.copy(), "thing"), exp.alias_(measure.value.copy(), "measure")
        ])  # fmt: skip
        queries.append(rows)
    groups = match.groupdict()
    sign = groups.get("sign") or groups["more"]
    factor = _factor(groups.get("factor"))
    low = sign.lower().split()[0] in LESS
    first: exp.Expr = exp.column("measure", table="one")
    second: exp.Expr = exp.column("measure", table="other")
    how = ""
    if left.counts and right.counts:  # those without any have none of them
        how = "RIGHT" if low else "LEFT"
        side = first if low else second
        none = exp.Coalesce(this=side, expressions=[number_of("0")])
        first, second = (none, second) if low else (first, none)
    if factor:
        second = exp.Mul(this=factor, expression=second)
    on = exp.EQ(
        this=exp.column("thing", table="one"), expression=exp.column("thing", table="other")
    )
    side_name = "other" if how == "RIGHT" else "one"
    both = exp.select(exp.column("thing", table=side_name)).from_(queries[0].subquery("one"))
    both = both.join(queries[1].subquery("other"), on=on, join_type=how or "INNER")
    both = both.where(compared(sign, first, second))
    return of_keys(of, both, min(left.sure, right.sure))


def _factor(text: str | None) -> exp.Expr | None:
    if text is None:
        return None
    low = text.lower()
    if low in _FACTORS:
        number = _FACTORS[low]
        if "/" in number:
            over, under = number.split(" / ")
            return exp.paren(exp.Div(this=number_of(over), expression=number_of(under)))
        return number_of(number)
    value = re.match(r"[\d.]+", low)
    if value is None:
        return None
    return number_of(value[0] if "times" in low else f"{float(value[0]) / 100:g}")
