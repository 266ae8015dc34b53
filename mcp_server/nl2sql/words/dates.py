"""Dates and periods as questions write them, put into the form in which dates are kept."""

import datetime
import re
from functools import partial

from mcp_server.nl2sql.words.spans import (
    COUNTS,
    MONTH,
    MONTHS_OF,
    PREPOSITION,
    before,
    begun,
    between,
    counted,
    last_of,
    number_of,
    or_as_it_is,
    with_spans,
)

_NUMBERS = rf"(?P<n>{COUNTS})"
_WRITTEN_DATE = re.compile(
    rf"\b(?:(?P<m1>{MONTH})\.? (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?,?"
    rf"|(?:the )?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m2>{MONTH})\.?,?) (?P<y>\d{{4}})\b",
    re.IGNORECASE,
)
_WRITTEN_MONTH = re.compile(
    rf"\b(?:in|during|of) (?P<m>{MONTH})(?: of)? (?P<y>\d{{4}})\b", re.IGNORECASE
)
_UNTIL_NOW = re.compile(
    rf"{PREPOSITION}(?P<the>the )?(?:last|past) "
    rf"(?:{_NUMBERS} (?P<units>day|week|month|year)s"
    r"|(?P<unit>day|week|month|year))\b",
    re.IGNORECASE,
)
_PERIOD = re.compile(
    rf"{PREPOSITION}(?:(?<!the )(?P<which>this|last)|(?:the )?(?P<named>current|previous)) "
    r"(?P<unit>week|month|quarter|year)\b(?! (?:to date|so far))",
    re.IGNORECASE,
)
_QUARTER = re.compile(
    rf"{PREPOSITION}(?:the )?(?:q(?P<q>[1-4])|(?P<nth>first|second|third|fourth|1st|2nd|3rd|4th)"
    r" quarter)(?: of|,)? (?P<y>\d{4})\b",
    re.IGNORECASE,
)
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_AGO = re.compile(
    rf"\b(?:from )?(?P<how>more than|over|at least|less than|within|under|since) {_NUMBERS} "
    r"(?P<unit>day|week|month|year)s? ago\b",
    re.IGNORECASE,
)
_THEN = re.compile(rf"{PREPOSITION}{_NUMBERS} (?P<unit>day|month|year)s? ago\b", re.IGNORECASE)
_OLD = re.compile(
    rf"\b(?P<how>older|newer|younger|more recent) than {_NUMBERS} "
    r"(?P<unit>day|week|month)s?\b(?! old)",
    re.IGNORECASE,
)
_FROM_NOW = re.compile(
    rf"{PREPOSITION}(?:the )?(?:next|coming|following) {_NUMBERS} "
    r"(?P<unit>day|week|month|year)s?\b",
    re.IGNORECASE,
)
_SO_FAR = re.compile(
    rf"{PREPOSITION}(?:(?:this )?(?P<unit>week|month|quarter|year)[ -]to[ -]date"
    r"|(?:so far )?this (?P<other>week|month|quarter|year) so far"
    r"|so far this (?P<third>week|month|quarter|year))\b",
    re.IGNORECASE,
)
_DAY = re.compile(rf"{PREPOSITION}(?P<day>today|yesterday)\b", re.IGNORECASE)


def with_dates(question: str, today: datetime.date) -> str:
    """The question with `March 5th, 2020`, `in May 2019`, `last month` and `in the last 30 days` as
    days (2020-03-05) and as periods between days.

    today: what the latter are counted from.
    """

    def day(match: re.Match[str]) -> str:
        month, number = match["m1"] or match["m2"], int(match["d1"] or match["d2"])
        return f"{match['y']}-{number_of(month):02}-{number:02}"

    def month(match: re.Match[str]) -> str:
        first = datetime.date(int(match["y"]), number_of(match["m"]), 1)
        return between(first, last_of(first, 1))

    def until_now(match: re.Match[str]) -> str:
        if match["unit"] and not match["the"]:
            return match[0]  # `last month` is one of the calendar
        number = counted(match["n"] or "1")
        return f"since {before(today, number, (match['units'] or match['unit']).lower())}"

    def period(match: re.Match[str]) -> str:
        which = (match["which"] or match["named"]).lower()
        last, unit = which in ("last", "previous"), match["unit"].lower()
        if unit == "week":
            monday = begun(today, unit) - datetime.timedelta(days=7 * last)
            return between(monday, monday + datetime.timedelta(days=6))
        months = MONTHS_OF[unit]
        first = begun(today, unit)
        first = before(first, months, "month") if last else first
        return between(first, last_of(first, months))

    def quarter(match: re.Match[str]) -> str:
        number = int(match["q"] or _NTH[match["nth"].lower()])
        first = datetime.date(int(match["y"]), 3 * number - 2, 1)
        return between(first, last_of(first, 3))

    def ago(match: re.Match[str]) -> str:
        longer = match["how"].lower() in ("more than", "over", "at least")
        day = before(today, counted(match["n"]), match["unit"].lower())
        return f"{'before' if longer else 'since'} {day}"

    def then(match: re.Match[str]) -> str:
        unit = match["unit"].lower()
        day = before(today, counted(match["n"]), unit)
        if unit == "day":
            return f"on {day}"
        first = begun(day, unit)
        return between(first, last_of(first, MONTHS_OF[unit]))

    def old(match: re.Match[str]) -> str:
        day = before(today, counted(match["n"]), match["unit"].lower())
        return f"{'before' if match['how'].lower() == 'older' else 'since'} {day}"

    def from_now(match: re.Match[str]) -> str:
        return between(today, before(today, -counted(match["n"]), match["unit"].lower()))

    def so_far(match: re.Match[str]) -> str:
        unit = (match["unit"] or match["other"] or match["third"]).lower()
        return f"since {begun(today, unit)}"

    def named_day(match: re.Match[str]) -> str:
        yesterday = match["day"].lower() == "yesterday"
        return f"on {today - datetime.timedelta(days=yesterday)}"

    text = _WRITTEN_DATE.sub(partial(or_as_it_is, day), question)
    text = with_spans(text, today)
    for pattern, written in (
        (_WRITTEN_MONTH, month),
        (_QUARTER, quarter),
        (_FROM_NOW, from_now),
        (_AGO, ago),
        (_THEN, then),
        (_OLD, old),
        (_SO_FAR, so_far),
        (_UNTIL_NOW, until_now),
        (_PERIOD, period),
        (_DAY, named_day),
    ):
        text = pattern.sub(partial(or_as_it_is, written), text)
    return text
