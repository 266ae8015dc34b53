"""Rows told by what happened to them first, or how often: *customers who first ordered in March*.

The phrase is taken out of the question, the rest is read as any other, and its query is asked of
those rows alone. Of people that come back, *repeat customers*, more than one row tells.
"""

import datetime
import re
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.business.measures import SALES
from mcp_server.nl2sql.database.identifiers import needs_quotes
from mcp_server.nl2sql.linking.linking import NAMED_TABLE, Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.words.dates import with_dates
from mcp_server.nl2sql.words.tokens import lemma, stem

_WHEN = (
    r"(?P<when>(?:(?:in|during|on|before|after|since|within|over|between|last|this|from) )"
    r"[\w ,-]+?)(?= (?:by|per|for each|and their)\b|[?.!;]|$)"
)
_WHO = r"\b(?P<who>[a-z]+)(?: (?:who|that|which))?"
_FIRST = (
    rf"{_WHO} (?:(?:have|had) )?first (?P<did>[a-z]+?)(?:ed|d)? {_WHEN}",
    rf"{_WHO} (?:(?:have|had) )?(?:placed|made|had|got|took|did|sent|paid|booked) "
    rf"(?:their|its|the) (?:very )?first (?P<event>[a-z]+) {_WHEN}",
    r"\b(?P<who>[a-z]+) whose (?:very )?first (?P<event>[a-z]+) "
    rf"(?:was|is|took place|came|happened) {_WHEN}",
)
_FIRST_RULES = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _FIRST)
_REPEAT = re.compile(
    r"\b(?P<how>repeat|returning|recurring|one[- ]time) (?P<who>[a-z]+s)\b",
    re.IGNORECASE,
)
AGAIN = frozenset({"repeat", "returning", "recurring"})
_SHARE_OF = re.compile(
    r"^(?:what|which) (?:share|percentage|percent|proportion|fraction) of (?:the |all |our )?"
    r"(?P<all>[a-z]+) (?:are|were) $",
    re.IGNORECASE,
)
_OFTEN = re.compile(
    r"\b(?P<joint>of|by|from|for|among) (?P<who>[a-z]+) (?:(?:who|that) )?"
    r"(?:with|having|have|had|(?:have )?(?:placed|made)) "
    r"(?P<bound>at least|more than|exactly|over|fewer than|less than|at most) "
    r"(?P<number>\d+|one|two|three|four|five|ten) (?P<event>[a-z]+)(?=[?.!;]|$)",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    r"\b(?:number|how many|how much|total|sum|average|mean|share)\b", re.IGNORECASE
)
_NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
_SIGNS: dict[str, type[exp.Binary]] = {
    "at least": exp.GTE, "more than": exp.GT, "over": exp.GT, "exactly": exp.EQ,
    "fewer than": exp.LT, "less than": exp.LT, "at most": exp.LTE,
}  # fmt: skip
BOUGHT = frozenset({"buy", "bought", "purchase", "order", "spend", "spent"})
"""What somebody did of whom there are sales."""
_DAY = r"\d{4}-\d\d-\d\d"
_BETWEEN = re.compile(rf"\bbetween ({_DAY}) and ({_DAY})")
_BOUND = re.compile(rf"\b(since|before|after|on) ({_DAY})")
_YEAR = re.compile(r"\b(in|during|before|after|since) (\d{4})\b")


@dataclass(frozen=True, slots=True)
class Cohort:
    """Rows of a table by the rows that refer to them. having: what holds of the latter together."""

    key: ForeignKey
    having: exp.Expr
    share: bool = False
    """Whether it is asked how many of all they are."""

    def of(self, tree: exp.Query) -> exp.Select | None:
        """The query of those rows alone; None where it reads neither them nor what they did."""
        if not isinstance(tree, exp.Select):
            return None
        select = tree.copy()
        for column in (self.key.target, self.key.column):
            for table in select.find_all(exp.Table):
                if table.parent_select is select and table.name == column.table.name:
                    whose = _named(table.alias) if table.alias else None
                    shown = exp.column(_named(column.name), whose)
                    test = exp.In(this=shown, query=self._keys().subquery())
                    return _share(select, test) if self.share else select.where(test)
        return None

    def _keys(self) -> exp.Select:
        own = self.key.column
        name = exp.column(_named(own.name))
        table = exp.Table(this=_named(own.table.name))
        if own.table.schema != "public":
            table.set("db", _named(own.table.schema))
        return exp.select(name).from_(table).group_by(name.copy()).having(self.having.copy())


def in_cohort(
    question: str, linker: Linker, graph: JoinGraph, today: datetime.date
) -> tuple[Cohort, str] | None:
    """The rows that a question is about, and the question without what tells them."""
    for pattern in _FIRST_RULES:
        for match in pattern.finditer(question):
            key = _key(match, linker, graph)
            day = None if key is None else _day_of(key.column.table)
            within = None if day is None else _within(with_dates(match["when"], today), day)
            if key is not None and within is not None:
                return Cohort(key, within), _without(question, match, match["who"])
    again = _REPEAT.search(question)
    key = None if again is None else _key(again, linker, graph)
    if again is not None and key is not None:
        having = _counted(exp.GT if again["how"].lower() in AGAIN else exp.EQ, 1)
        share = _SHARE_OF.search(question[: again.start()])
        if share is not None and share["all"].lower() == again["who"].lower():
            plain = f"how many {again['who']} are there{question[again.end() :]}"
            return Cohort(key, having, share=True), plain
        return Cohort(key, having), _without(question, again, again["who"])
    often = _OFTEN.search(question)
    if often is not None and _MEASURED.search(question[: often.start()]):
        key = _key(often, linker, graph)
        number = often["number"].lower()
        if key is not None:
            having = _counted(_SIGNS[often["bound"].lower()], int(_NUMBERS.get(number, number)))
            return Cohort(key, having), _without(
                question, often, f"{often['joint']} {often['who']}"
            )
    return None


def _share(select: exp.Select, test: exp.Expr) -> exp.Select | None:
    """The number of rows as a part of all, in percent."""
    counts = [each for each in select.expressions if isinstance(each, exp.Count)]
    if len(counts) != 1:
        return None
    some = exp.Filter(this=counts[0].copy(), expression=exp.Where(this=test))
    whole = exp.Nullif(this=counts[0].copy(), expression=exp.Literal.number(0))
    hundred = exp.Mul(this=exp.Literal.number("100.0"), expression=some)
    counts[0].replace(exp.Div(this=hundred, expression=whole, typed=True))
    return select


def _without(question: str, match: re.Match[str], left: str) -> str:
    return f"{question[: match.start()]}{left}{question[match.end() :]}"


def _key(match: re.Match[str], linker: Linker, graph: JoinGraph) -> ForeignKey | None:
    """The one key from what was done to who did it."""
    who = _table(match["who"], linker)
    if who is None:
        return None
    keys = [key for key in graph.keys_to(who) if key.target.table is who and not key.beside]
    said = match.groupdict()
    event = said.get("event") or said.get("did")
    if event is None:
        return _of_sales(keys)
    events = [key for key in keys if _is_event(event, key.column.table)]
    if not events and lemma(event.lower()) in BOUGHT:
        return _of_sales(keys)
    return events[0] if len(events) == 1 else None


def _of_sales(keys: list[ForeignKey]) -> ForeignKey | None:
    for kind in SALES:
        found = [key for key in keys if key.column.table.words[-1:] == (kind,)]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _is_event(word: str, table: Table) -> bool:
    return bool(table.words) and stem(lemma(word.lower())) == stem(table.words[-1])


def _table(word: str, linker: Linker) -> Table | None:
    found = linker.tables((lemma(word.lower()),))
    sure = [table for table, score in found if score >= NAMED_TABLE]
    return sure[0] if len(sure) == 1 else None


def _day_of(table: Table) -> Column | None:
    days = [column for column in table.columns if column.kind is Kind.DATE]
    return days[0] if days else None


def _within(when: str, day: Column) -> exp.Expr | None:
    """What a period says of the first of some days."""
    first = exp.Min(this=exp.cast(exp.column(_named(day.name)), "date", dialect="postgres"))
    if (both := _BETWEEN.search(when)) is not None:
        return _from_to(first, both[1], both[2])
    if (bound := _BOUND.search(when)) is not None:
        signs = {"since": exp.GTE, "before": exp.LT, "after": exp.GT, "on": exp.EQ}
        sign: type[exp.Binary] = signs[bound[1].lower()]
        return sign(this=first, expression=exp.Literal.string(bound[2]))
    year = _YEAR.search(when)
    if year is None:
        return None
    start, end = f"{year[2]}-01-01", f"{year[2]}-12-31"
    match year[1].lower():
        case "before":
            return exp.LT(this=first, expression=exp.Literal.string(start))
        case "after":
            return exp.GT(this=first, expression=exp.Literal.string(end))
        case "since":
            return exp.GTE(this=first, expression=exp.Literal.string(start))
        case _:
            return _from_to(first, start, end)


def _from_to(first: exp.Expr, low: str, high: str) -> exp.Expr:
    return exp.Between(this=first, low=exp.Literal.string(low), high=exp.Literal.string(high))


def _counted(sign: type[exp.Binary], number: int) -> exp.Expr:
    return sign(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(number))


def _named(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=needs_quotes(name))
