"""Which window a question asks for, and the plain question that is left: pure text in and out.

    windowed("running total of sales by month")  # RunningTotal(), "sum of sales by month"

The plain question is read as any other; what was taken out is done to its query (`applying.py`).
"""

import re
from dataclasses import dataclass
from typing import TypeAlias

from mcp_server.nl2sql.words.spans import UNITS
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS

_UNIT = r"day|week|month|quarter|year"
_COUNT = r"\d{1,9}|" + "|".join(word for word, number in NUMBER_WORDS.items() if 1 < number < 21)
_SAYS_UNIT = re.compile(
    rf"\b(?:by|per|each|every|for each|for every|over) (?:the )?(?:{_UNIT})s?\b", re.IGNORECASE
)
SHORT_CHANGES = {
    "mom": "month over month", "yoy": "year over year", "qoq": "quarter over quarter",
    "wow": "week over week",
}  # fmt: skip
_SHORT_CHANGE = re.compile(r"\b(?:[Mm][Oo][Mm]|[Yy][Oo][Yy]|QoQ|WoW)\b")
_PERIODICAL = re.compile(r"\b(?:monthly|yearly|annual|quarterly|weekly|daily)\b", re.IGNORECASE)
_MEASURED = re.compile(
    r"\b(?:total|sum|average|mean|number|count|how many|maximum|minimum|median)\b", re.IGNORECASE
)
_RUNNING = re.compile(
    r"\b(?:running|cumulative|rolling|accumulated) (?P<measure>total|sum|count|number)s?"
    r"(?P<of> of)?\b|\bcumulative (?!total|sum|count|number)",
    re.IGNORECASE,
)
_MOVING = re.compile(
    rf"(?:\b(?P<count>{_COUNT})[ -](?P<unit>{_UNIT}|period|row)s?[ -])?(?:moving|rolling|running)"
    r"[ -](?:average|mean)(?: over(?: the last)? (?P<count2>\d{1,9}) "
    r"(?P<unit2>day|week|month|quarter|year|period|row)s?)?(?: (?:of|in|for))?\b",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    rf"\b(?P<unit>{_UNIT})[ -](?:over|on|to|by)[ -](?P=unit)(?: (?P<kind>growth rate|percentage "
    r"change|percent change|growth|change|difference|increase|comparison)s?)?(?: (?:of|in|for))?\b"
    rf"|\b(?:growth|change) (?:of|in) (?P<what>.+?) from (?P<unit2>{_UNIT}) to (?P=unit2)\b"
    rf"|\b(?P<every>monthly|yearly|annual|quarterly|weekly|daily) (?P<kind2>growth|change)"
    r"(?: rate)?(?: (?:of|in|for))?\b",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    r",? (?:(?:and|with) (?:the |its |their )?(?P<kind>change|difference|growth)s? "
    r"(?:from|over|since|to|compared (?:with|to))"
    r"|(?:as )?compared (?:with|to)|versus|vs\.?|against) (?:that of )?(?:the |its )?"
    rf"(?:(?:previous|prior|preceding) (?P<unit>{_UNIT})|(?P<unit2>{_UNIT}) before|one before)$",
    re.IGNORECASE,
)
_ALSO_CHANGE = re.compile(
    r"^(?P<plain>.+?)(?:[?.;,]|,? and| with) (?:(?:also|and|please|calculate|compute|show|give|"
    r"include|return|add|with) )*(?:the |its |their )?"
    rf"(?:(?P<unit>{_UNIT})[ -](?:over|on|to|by)[ -](?P=unit)"
    r"|(?:monthly|yearly|annual|quarterly|weekly|daily)) "
    r"(?P<kind>percentage change|percent change|change|growth rate|growth|difference)"
    rf"(?: (?:for|in|of|from|over) (?:each|every|that|this|the) ?(?:{_UNIT})?)?$",
    re.IGNORECASE,
)
"""What is asked of each period, and its change beside it."""
_BESIDE = re.compile(
    r"^(?P<plain>.+?),? and (?:the |their |its )?(?:[a-z]+ )?(?:rank|ranking|place)"
    r"(?: of (?:each|every) [\w ]+?)? (?:by|according to|based on|(?:when )?ordered by|in terms of)"
    r"(?: the(?:ir)?| its)? (?P<by>.+?)(?P<each> (?:for|of|per) (?:each|every|all) .+)?$",
    re.IGNORECASE,
)
"""The place of each row as one column more."""
_RANK = re.compile(
    r"^(?:please )?(?:rank(?: the| all| all the)?|show the rank(?:ing)? of(?: the| all)?|"
    r"(?:the )?rank(?:ing)? of(?: the| all)?) (?P<rows>.+?) (?:by|according to|on)"
    r"(?: the(?:ir)?| its)? (?P<by>.+?)"
    r"(?P<within> (?:within|in|per|for|inside) (?:each|every|their)? ?(?P<part>.+?))?$",
    re.IGNORECASE,
)
_TOP = (
    rf"(?:the )?(?P<end>top|first|best|highest|bottom|lowest) (?P<count>{_COUNT}|1|one) "
    r"(?P<rows>.+?) by (?:the(?:ir)? |its )?(?P<by>.+?)"
)
_FIRST = re.compile(
    rf"^(?:(?:show|list|give|find)(?: me)? )?{_TOP}"
    r" (?:(?:for|in|of|within|from) (?:each|every)|per) (?P<part>.+)$",
    re.IGNORECASE,
)
_EACH_FIRST = re.compile(rf"^(?:for|in) (?:each|every) (?P<part>.+?),? {_TOP}$", re.IGNORECASE)
LOWEST = frozenset({"bottom", "lowest"})
_PERCENTILE = re.compile(
    r"\b(?P<percent>\d{1,2}(?:\.\d+)?)(?:st|nd|rd|th)? ?percentile(?: of)?\b"
    r"|\bp(?P<short>\d{2})(?: of)?\b|\b(?P<quartile>first|third|upper|lower) quartile(?: of)?\b",
    re.IGNORECASE,
)
_RISING = re.compile(
    r",? ?\b(?:ascending|lowest first|smallest first|fewest first)$", re.IGNORECASE
)
_GROUPS = re.compile(r"\b(?:by|per|each|every)\b", re.IGNORECASE)
QUARTILES = {"first": 0.25, "lower": 0.25, "third": 0.75, "upper": 0.75}


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """The sum of a measure up to each period."""


@dataclass(frozen=True, slots=True)
class MovingAverage:
    """The average of a measure over each period and those before, `count` in all."""

    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a measure is more than in the period before; in percent where it is about growth."""

    percent: bool


@dataclass(frozen=True, slots=True)
class Ranked:
    """The place of each row. within: the words of what there is an order of its own for.

    first: only rows at so many first places; None for all.
    """

    within: str = ""
    first: int | None = None


@dataclass(frozen=True, slots=True)
class Percentile:
    """The value that so much of all is not above, 0..1."""

    share: float


Window: TypeAlias = RunningTotal | MovingAverage | Change | Ranked | Percentile


def says_groups(plain: str) -> bool:
    """Whether a plain question asks for each of something beside the periods."""
    return len(_GROUPS.findall(plain)) > 1


def windowed(question: str) -> tuple[Window, str] | None:
    """The window that a question asks for, and what is left of it; None for any other question."""
    text = re.sub(r"[\s?.!]+$", "", " ".join(question.split()))
    text = _SHORT_CHANGE.sub(lambda match: SHORT_CHANGES[match[0].lower()], text)
    for way in (
        _moving,
        _running,
        _also_change,
        _change,
        _percentile,
        _first_of_each,
        _ranked,
        _beside,
    ):
        found = way(text)
        if found is not None:
            return found
    return None


def _running(text: str) -> tuple[Window, str] | None:
    match = _RUNNING.search(text)
    if match is None:
        return None
    counts = (match["measure"] or "").lower() in ("count", "number")
    measure = "number of " if counts else "sum of "
    rest = text[match.end() :].lstrip()
    if not match["measure"] and _MEASURED.match(rest):
        measure = ""
    return RunningTotal(), _joined(text[: match.start()], measure, rest)


def _moving(text: str) -> tuple[Window, str] | None:
    match = _MOVING.search(text)
    if match is None:
        return None
    count, unit = match["count"] or match["count2"], match["unit"] or match["unit2"]
    if not count:
        return None
    number = int(count) if count.isdecimal() else NUMBER_WORDS[count.lower()]
    rest = text[match.end() :].lstrip()
    plain = _joined(text[: match.start()], "" if _MEASURED.match(rest) else "sum of ", rest)
    return MovingAverage(int(number)), _by(plain, (unit or "").lower())


def _change(text: str) -> tuple[Window, str] | None:
    match = _CHANGE.search(text)
    if match is None:
        return _compared(text)
    unit = match["unit"] or match["unit2"] or UNITS[match["every"].lower()]
    kind = (match["kind"] or match["kind2"] or "").lower()
    percent = "growth" in kind or "percent" in kind
    rest = f"{match['what'] or ''}{text[match.end() :]}".lstrip()
    before = re.sub(
        r"\b(?:the|what is|show|show me|give me)\s*$",
        "",
        text[: match.start()],
        flags=re.IGNORECASE,
    )
    rest = re.sub(r"^(?:the )", "", rest)
    measured = _MEASURED.match(rest) or _MEASURED.search(before)
    return Change(percent), _by(_joined(before, "" if measured else "sum of ", rest), unit.lower())


def _also_change(text: str) -> tuple[Window, str] | None:
    """Sales per month, and the change from month to month."""
    match = _ALSO_CHANGE.search(text)
    if match is None or not (
        _SAYS_UNIT.search(match["plain"]) or _PERIODICAL.search(match["plain"])
    ):
        return None
    kind = match["kind"].lower()
    return Change("growth" in kind or "percent" in kind), match["plain"]


def _beside(text: str) -> tuple[Window, str] | None:
    """The name, the total and the rank by the total of each."""
    match = _BESIDE.match(text)
    if match is None or "by" in match["plain"].lower().split():
        return None
    by = _RISING.sub(
        "", re.sub(r",? (?:descending|highest first|with rank 1 .*)$", "", match["by"])
    )
    direction = "ascending" if _RISING.search(match["by"]) else "descending"
    each = match["each"] or ""
    return Ranked(), f"{match['plain']}{each} sorted by {by} {direction}"


def _compared(text: str) -> tuple[Window, str] | None:
    """Sales per month compared with the month before."""
    match = _COMPARED.search(text)
    plain = text[: match.start()] if match is not None else ""
    if match is None or not (_SAYS_UNIT.search(plain) or _PERIODICAL.search(plain)):
        return None
    return Change("growth" in (match["kind"] or "").lower()), plain


def _percentile(text: str) -> tuple[Window, str] | None:
    match = _PERCENTILE.search(text)
    if match is None:
        return None
    if match["quartile"]:
        share = QUARTILES[match["quartile"].lower()]
    else:
        share = float(match["percent"] or match["short"]) / 100
    return Percentile(share), _joined(text[: match.start()], "median ", text[match.end() :])


def _ranked(text: str) -> tuple[Window, str] | None:
    match = _RANK.match(text)
    if match is None:
        return None
    by = match["by"]
    rising = _RISING.search(by)
    direction = "ascending" if rising else "descending"
    by = _RISING.sub("", by)
    if _MEASURED.match(by):
        plain = f"{by} of each {_single(match['rows'])} sorted by {by} {direction}"
    else:
        plain = f"{match['rows']} sorted by {by} {direction}"
    part = (match["part"] or "").strip()
    if part and _MEASURED.match(by):
        return None
    return Ranked(part), plain


def _first_of_each(text: str) -> tuple[Window, str] | None:
    match = _FIRST.match(text) or _EACH_FIRST.match(text)
    if match is None or _MEASURED.match(match["by"]):
        return None
    count = match["count"]
    number = int(count) if count.isdecimal() else int(NUMBER_WORDS[count.lower()])
    direction = "ascending" if match["end"].lower() in LOWEST else "descending"
    return Ranked(match["part"], number), f"{match['rows']} sorted by {match['by']} {direction}"


def _single(rows: str) -> str:
    return rows[:-1] if rows.endswith("s") and not rows.endswith("ss") else rows


def _by(text: str, unit: str) -> str:
    """The question for each period, if it does not say so."""
    if unit not in ("day", "week", "month", "quarter", "year") or _SAYS_UNIT.search(text):
        return text
    return f"{text} per {unit}"


def _joined(before: str, measure: str, rest: str) -> str:
    return " ".join(f"{before} {measure} {rest}".split())
