"""Dates and periods as questions write them, put into the form in which dates are kept."""

import calendar
import datetime
import re
from collections.abc import Callable
from functools import partial

from mcp_server.nl2sql.words.tokens import NUMBER_WORDS

_MONTHS = [name.lower() for name in calendar.month_name[1:]]
_MONTH = "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS)
_WRITTEN_DATE = re.compile(
    rf"\b(?:(?P<m1>{_MONTH})\.? (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?,?"
    rf"|(?:the )?(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m2>{_MONTH})\.?,?) (?P<y>\d{{4}})\b",
    re.IGNORECASE,
)
_WRITTEN_MONTH = re.compile(
    rf"\b(?:in|during|of) (?P<m>{_MONTH})(?: of)? (?P<y>\d{{4}})\b", re.IGNORECASE
)
_PREPOSITION = r"(?:\b(?:in|during|over|within|for|from|on|of) )?\b"
_UNTIL_NOW = re.compile(
    rf"{_PREPOSITION}(?P<the>the )?(?:last|past) "
    rf"(?:(?P<n>\d+|{'|'.join(NUMBER_WORDS)}) (?P<units>day|week|month|year)s"
    r"|(?P<unit>day|week|month|year))\b",
    re.IGNORECASE,
)
_PERIOD = re.compile(
    rf"{_PREPOSITION}(?:(?<!the )(?P<which>this|last)|(?:the )?(?P<named>current|previous)) "
    r"(?P<unit>week|month|quarter|year)\b(?! (?:to date|so far))",
    re.IGNORECASE,
)
_QUARTER = re.compile(
    rf"{_PREPOSITION}(?:the )?(?:q(?P<q>[1-4])|(?P<nth>first|second|third|fourth|1st|2nd|3rd|4th)"
    r" quarter)(?: of|,)? (?P<y>\d{4})\b",
    re.IGNORECASE,
)
_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_NUMBERS = rf"(?P<n>\d+|{'|'.join(NUMBER_WORDS)})"
_AGO = re.compile(
    rf"\b(?P<how>more than|over|at least|less than|within|under) {_NUMBERS} "
    r"(?P<unit>day|week|month|year)s? ago\b",
    re.IGNORECASE,
)
_FROM_NOW = re.compile(
    rf"{_PREPOSITION}(?:the )?(?:next|coming|following) {_NUMBERS} "
    r"(?P<unit>day|week|month|year)s?\b",
    re.IGNORECASE,
)
_SO_FAR = re.compile(
    rf"{_PREPOSITION}(?:(?:this )?(?P<unit>week|month|quarter|year)[ -]to[ -]date"
    r"|(?:so far )?this (?P<other>week|month|quarter|year) so far"
    r"|so far this (?P<third>week|month|quarter|year))\b",
    re.IGNORECASE,
)
_DAY = re.compile(rf"{_PREPOSITION}(?P<day>today|yesterday)\b", re.IGNORECASE)
_MONTHS_OF = {"month": 1, "quarter": 3, "year": 12}


def with_dates(question: str, today: datetime.date) -> str:
    """The question with `March 5th, 2020`, `in May 2019`, `last month` and `in the last 30 days` as
    days (2020-03-05) and as periods between days.

    today: what the latter are counted from.
    """

    def day(match: re.Match[str]) -> str:
        month, number = match["m1"] or match["m2"], int(match["d1"] or match["d2"])
        return f"{match['y']}-{_number_of(month):02}-{number:02}"

    def month(match: re.Match[str]) -> str:
        first = datetime.date(int(match["y"]), _number_of(match["m"]), 1)
        return _between(first, _last_of(first, 1))

    def until_now(match: re.Match[str]) -> str:
        if match["unit"] and not match["the"]:
            return match[0]  # `last month` is one of the calendar
        number = _counted(match["n"] or "1")
        return f"since {_before(today, number, (match['units'] or match['unit']).lower())}"

    def period(match: re.Match[str]) -> str:
        which = (match["which"] or match["named"]).lower()
        last, unit = which in ("last", "previous"), match["unit"].lower()
        if unit == "week":
            monday = _begun(today, unit) - datetime.timedelta(days=7 * last)
            return _between(monday, monday + datetime.timedelta(days=6))
        months = _MONTHS_OF[unit]
        first = _begun(today, unit)
        first = _before(first, months, "month") if last else first
        return _between(first, _last_of(first, months))

    def quarter(match: re.Match[str]) -> str:
        number = int(match["q"] or _NTH[match["nth"].lower()])
        first = datetime.date(int(match["y"]), 3 * number - 2, 1)
        return _between(first, _last_of(first, 3))

    def ago(match: re.Match[str]) -> str:
        longer = match["how"].lower() in ("more than", "over", "at least")
        day = _before(today, _counted(match["n"]), match["unit"].lower())
        return f"{'before' if longer else 'since'} {day}"

    def from_now(match: re.Match[str]) -> str:
        return _between(today, _before(today, -_counted(match["n"]), match["unit"].lower()))

    def so_far(match: re.Match[str]) -> str:
        unit = (match["unit"] or match["other"] or match["third"]).lower()
        return f"since {_begun(today, unit)}"

    def named_day(match: re.Match[str]) -> str:
        yesterday = match["day"].lower() == "yesterday"
        return f"on {today - datetime.timedelta(days=yesterday)}"

    text = question
    for pattern, written in (
        (_WRITTEN_DATE, day),
        (_WRITTEN_MONTH, month),
        (_QUARTER, quarter),
        (_FROM_NOW, from_now),
        (_AGO, ago),
        (_SO_FAR, so_far),
        (_UNTIL_NOW, until_now),
        (_PERIOD, period),
        (_DAY, named_day),
    ):
        text = pattern.sub(partial(_or_as_it_is, written), text)
    return text


def _or_as_it_is(written: Callable[[re.Match[str]], str], match: re.Match[str]) -> str:
    """What is written for words; the words where no calendar has that day."""
    try:
        return written(match)
    except (ValueError, OverflowError):
        return match[0]


def _number_of(month: str) -> int:
    return next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(month[:3].lower()))


def _before(day: datetime.date, number: int, unit: str) -> datetime.date:
    """The day so many days, weeks, months or years before, or the last of a shorter month."""
    if unit in ("day", "week"):
        return day - datetime.timedelta(days=number * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 - number * _MONTHS_OF[unit]
    year, month = months // 12, months % 12 + 1
    return day.replace(
        year=year, month=month, day=min(day.day, calendar.monthrange(year, month)[1])
    )


def _counted(said: str) -> int:
    """How many, as a number or a word."""
    low = said.lower()
    return NUMBER_WORDS[low] if low in NUMBER_WORDS else int(low)


def _begun(today: datetime.date, unit: str) -> datetime.date:
    """The first day of this week, month, quarter or year."""
    if unit == "week":
        return today - datetime.timedelta(days=today.weekday())
    months = _MONTHS_OF[unit]
    return today.replace(day=1, month=(today.month - 1) // months * months + 1)


def _last_of(first: datetime.date, months: int) -> datetime.date:
    """The last day of so many months."""
    return _before(first, -months, "month") - datetime.timedelta(days=1)


def _between(first: datetime.date, last: datetime.date) -> str:
    return f"between {first} and {last}"
