"""Stretches of time that questions name by more than one date, or by no date: *the 90s*, *between
May and July 2010*, *the week of 3 May 2021*, *before March 2001*, *since last Monday*.

Each rule gives the words that `dates` and the grammar read: bounds, and periods between days.
"""

import calendar
import datetime
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from mcp_server.nl2sql.words.tokens import NUMBER_WORDS

Unit = Literal["year", "quarter", "month", "week", "day"]
UNITS: dict[str, Unit] = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day",
    "yearly": "year", "annual": "year", "annually": "year", "quarterly": "quarter",
    "monthly": "month", "weekly": "week", "daily": "day",
}  # fmt: skip
"""What questions call them."""
MONTHS = [name.lower() for name in calendar.month_name[1:]]
MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in MONTHS)
DAYS = [name.lower() for name in calendar.day_name]
PREPOSITION = r"(?:\b(?:in|during|over|within|for|from|on|of) )?\b"
COUNTS = rf"\d+|{'|'.join(NUMBER_WORDS)}"
MONTHS_OF = {"month": 1, "quarter": 3, "half": 6, "year": 12}
TENS = (
    "twenties",
    "thirties",
    "forties",
    "fifties",
    "sixties",
    "seventies",
    "eighties",
    "nineties",
)
CENTURY_OF_YEARS = 2000
_HALVES = {"first": 0, "1st": 0, "h1": 0, "second": 1, "2nd": 1, "last": 1, "h2": 1}

_STRETCH = (
    rf"(?:\d{{4}}|(?:this|last|the previous|the last) (?:week|month|quarter|year)|today|yesterday"
    rf"|(?:{MONTH}) \d{{4}}|q[1-4](?: of)? \d{{4}})"
)
_HOW_COMPARED = re.compile(
    rf"^how (?:did|do|does) (?P<what>.+?) (?P<one>(?:in )?{_STRETCH}) compare (?:to|with|against) "
    rf"(?:that of )?(?P<other>(?:in )?{_STRETCH})$",
    re.IGNORECASE,
)
_EITHER = re.compile(
    rf"^(?P<what>.+?) (?P<preposition>(?:in|during|for) )?(?P<one>{_STRETCH}),? "
    r"(?:versus|vs\.?|against|compared (?:to|with)) "
    rf"(?:(?:in|during|for|that of) )?(?P<other>{_STRETCH})$",
    re.IGNORECASE,
)
_DECADE = re.compile(
    rf"{PREPOSITION}(?:(?:the )?(?P<century>1[4-9]|20)(?P<ten>\d)0'?s"
    rf"|the (?:'?(?P<tens>\d)0'?s|(?P<named>{'|'.join(TENS)})))\b",
    re.IGNORECASE,
)
_CENTURY = re.compile(rf"{PREPOSITION}the (?P<n>1[4-9]|20|21)(?:th|st)[ -]century\b", re.IGNORECASE)
_MONTHS_APART = re.compile(
    rf"\b(?:between|from) (?:the (?:start|beginning) of )?(?P<m1>{MONTH})(?: (?P<y1>\d{{4}}))?"
    rf" (?:and|to|until|till|through) (?:the end of )?(?P<m2>{MONTH}) (?:of )?(?P<y2>\d{{4}})\b",
    re.IGNORECASE,
)
_BOUND = r"\b(?P<bound>before|after|since|until|till|up to|by the end of|prior to|later than) "
_MONTH_BOUND = re.compile(rf"{_BOUND}(?P<m>{MONTH})(?: of)? (?P<y>\d{{4}})\b(?!-)", re.IGNORECASE)
_PERIOD_BOUND = re.compile(
    rf"{_BOUND}(?P<which>this|last|the (?:beginning|start) of (?:this|the)) "
    r"(?P<unit>week|month|quarter|year)\b",
    re.IGNORECASE,
)
_DAY_BOUND = re.compile(
    rf"{_BOUND}(?:(?P<day>today|yesterday)|(?P<which>last) (?P<weekday>{'|'.join(DAYS)}))\b",
    re.IGNORECASE,
)
_WEEK_OF = re.compile(
    rf"{PREPOSITION}(?:the )?week (?:of|from|starting|beginning)(?: on)? "
    r"(?P<day>\d{4}-\d\d-\d\d)\b",
    re.IGNORECASE,
)
_HALF = re.compile(
    rf"{PREPOSITION}(?:(?:the )?(?P<nth>first|second|1st|2nd|last) half of|(?P<h>h[12])(?: of)?)"
    r" (?P<y>\d{4})\b",
    re.IGNORECASE,
)
_LAST_QUARTER = re.compile(
    rf"{PREPOSITION}(?:the )?(?:last|final) quarter of (?P<y>\d{{4}})\b", re.IGNORECASE
)
_AGO_APART = re.compile(
    rf"\bbetween (?P<n>{COUNTS}) and (?P<m>{COUNTS}) (?P<unit>day|week|month|year)s ago\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    rf"{PREPOSITION}(?:the )?(?:last|past|previous) (?P<n>{COUNTS}) "
    r"(?P<unit>week|month|quarter|year)s,? \(?(?:excluding|not including|exclusive of|without) "
    r"(?:the current|this) (?:week|month|quarter|year)\)?",
    re.IGNORECASE,
)
_NEXT = re.compile(
    rf"{PREPOSITION}(?:(?P<unit>next (?:week|month|quarter|year))|(?P<day>tomorrow))\b",
    re.IGNORECASE,
)


def with_both(question: str) -> str:
    """`Orders in 2022 versus 2021` with its subject on both sides, *orders in 2022 versus orders in
    2021*; and `how did sales this month compare to last month` in that form.
    """
    text = question.rstrip(" ?.")
    asked = _HOW_COMPARED.match(text)
    if asked is not None:
        what = asked["what"].removeprefix("the ")
        return f"{what} {asked['one']} versus {what} {asked['other']}"
    match = _EITHER.match(text)
    if match is None:
        return question
    what = f"{match['what']} {match['preposition'] or ''}"
    return f"{what}{match['one']} versus {what}{match['other']}"


def with_years(question: str, today: datetime.date) -> str:
    """The question with decades and centuries as years: *the 90s* is *between 1990 and 1999*."""

    def decade(match: re.Match[str]) -> str:
        if match["century"]:
            first = int(match["century"] + match["ten"]) * 10
            if first % 100 == 0 and first < CENTURY_OF_YEARS:
                return match[0]  # `the 1800s` are a hundred years to most
        else:
            tens = TENS.index(match["named"].lower()) + 2 if match["named"] else int(match["tens"])
            first = 1900 + 10 * tens
            first += 100 * (first + 100 <= today.year)
        return f"between {first} and {first + 9}"

    def century(match: re.Match[str]) -> str:
        last = int(match["n"]) * 100
        return f"between {last - 99} and {last}"

    return _CENTURY.sub(century, _DECADE.sub(decade, question))


def with_spans(question: str, today: datetime.date) -> str:
    """The question with stretches of time as bounds and periods between days.

    Days are written as 2021-05-03 by then. today: what *last* and *next* are counted from.
    """
    text = question
    for pattern, written in _rules(today):
        text = pattern.sub(partial(or_as_it_is, written), text)
    return text


def _rules(
    today: datetime.date,
) -> Iterator[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
    def months_apart(match: re.Match[str]) -> str:
        until = int(match["y2"])
        since = int(match["y1"] or until)
        first = datetime.date(since, number_of(match["m1"]), 1)
        return between(first, last_of(datetime.date(until, number_of(match["m2"]), 1), 1))

    def month_bound(match: re.Match[str]) -> str:
        first = datetime.date(int(match["y"]), number_of(match["m"]), 1)
        return _bounded(match["bound"], first, last_of(first, 1))

    def period_bound(match: re.Match[str]) -> str:
        unit = match["unit"].lower()
        first = begun(today, unit)
        if match["which"].lower() == "last":
            first = before(first, 1, unit)
        return _bounded(match["bound"], first, before(before(first, -1, unit), 1, "day"))

    def day_bound(match: re.Match[str]) -> str:
        if match["day"]:
            day = today - datetime.timedelta(days=match["day"].lower() == "yesterday")
        else:
            day = before(today, (today.weekday() - DAYS.index(match["weekday"].lower())) % 7 or 7)
        return _bounded(match["bound"], day, day)

    def week_of(match: re.Match[str]) -> str:
        monday = begun(datetime.date.fromisoformat(match["day"]), "week")
        return between(monday, before(monday, -6))

    def half(match: re.Match[str]) -> str:
        nth = _HALVES[(match["nth"] or match["h"]).lower()]
        first = datetime.date(int(match["y"]), 1 + 6 * nth, 1)
        return between(first, last_of(first, 6))

    def last_quarter(match: re.Match[str]) -> str:
        return between(
            datetime.date(int(match["y"]), 10, 1), datetime.date(int(match["y"]), 12, 31)
        )

    def ago_apart(match: re.Match[str]) -> str:
        near, far = sorted((counted(match["n"]), counted(match["m"])))
        unit = match["unit"].lower()
        return between(before(today, far, unit), before(today, near, unit))

    def whole(match: re.Match[str]) -> str:
        unit = match["unit"].lower()
        now = begun(today, unit)
        return between(before(now, counted(match["n"]), unit), before(now, 1))

    def following(match: re.Match[str]) -> str:
        if match["day"]:
            return f"on {before(today, -1)}"
        unit = match["unit"].split()[-1].lower()
        first = before(begun(today, unit), -1, unit)
        return between(first, before(before(first, -1, unit), 1))

    return iter(
        (
            (_MONTHS_APART, months_apart),
            (_MONTH_BOUND, month_bound),
            (_PERIOD_BOUND, period_bound),
            (_DAY_BOUND, day_bound),
            (_WEEK_OF, week_of),
            (_HALF, half),
            (_LAST_QUARTER, last_quarter),
            (_AGO_APART, ago_apart),
            (_WHOLE, whole),
            (_NEXT, following),
        )
    )


def _bounded(bound: str, first: datetime.date, last: datetime.date) -> str:
    """What is before, after, since or until a period of days."""
    match bound.lower():
        case "before" | "prior to":
            return f"before {first}"
        case "since":
            return f"since {first}"
        case "after" | "later than":
            return f"since {before(last, -1)}"
        case _:
            return f"before {before(last, -1)}"


def or_as_it_is(written: Callable[[re.Match[str]], str], match: re.Match[str]) -> str:
    """What is written for words; the words where no calendar has that day."""
    try:
        return written(match)
    except (ValueError, OverflowError):
        return match[0]


def counted(said: str) -> int:
    """How many, as a number or a word."""
    low = said.lower()
    return NUMBER_WORDS[low] if low in NUMBER_WORDS else int(low)


def number_of(month: str) -> int:
    """The number of a month by its name, or the first letters of it."""
    return next(n for n, name in enumerate(MONTHS, 1) if name.startswith(month[:3].lower()))


def before(day: datetime.date, number: int, unit: str = "day") -> datetime.date:
    """The day so many days, weeks, months or years before, or the last of a shorter month."""
    if unit in ("day", "week"):
        return day - datetime.timedelta(days=number * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 - number * MONTHS_OF[unit]
    year, month = months // 12, months % 12 + 1
    return day.replace(
        year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1])
    )


def begun(today: datetime.date, unit: str) -> datetime.date:
    """The first day of this week, month, quarter or year."""
    if unit == "week":
        return today - datetime.timedelta(days=today.weekday())
    months = MONTHS_OF[unit]
    return today.replace(day=1, month=(today.month - 1) // months * months + 1)


def last_of(first: datetime.date, months: int) -> datetime.date:
    """The last day of so many months."""
    return before(before(first, -months, "month"), 1)


def between(first: datetime.date, last: datetime.date) -> str:
    """A period as the grammar reads it."""
    return f"between {first} and {last}"
