"""Columns that no table has and every date implies: how long, on a weekend, at which hour, late.

They are linked as other columns are, by what people call them, and compiled to an expression over
the columns that they are made of (`sql/derived.py`).
"""

from collections.abc import Iterator
from itertools import permutations

from mcp_server.nl2sql.schema.model import Column, Kind, Made, Table
from mcp_server.nl2sql.words.lexicon import BIRTH
from mcp_server.nl2sql.words.tokens import stem

UNITS = ("second", "minute", "hour", "day", "week", "year")
LASTING = ("duration", "time", "length", "stay")
BEGINS = {
    "start": "end finish stop", "begin": "end finish", "open": "close resolve", "from": "to until",
    "arrive": "depart leave", "arrival": "departure", "depart": "arrive return",
    "departure": "arrival return", "hire": "fire terminate leave end", "join": "leave cancel",
    "admit": "discharge", "admission": "discharge", "create": "complete close resolve finish",
    "enter": "leave left exit", "birth": "death", "born": "died", "lend": "return",
    "lent": "return",
    "borrow": "return", "loan": "return", "rent": "return", "rental": "return", "issue": "return",
    "order": "ship deliver", "pickup": "dropoff", "checkin": "checkout", "login": "logout",
    "take": "return", "report": "resolve close fix",
}  # fmt: skip
"""First words of what begins, and of what ends with it."""
DUE = frozenset(
    map(stem, ("due", "expected", "scheduled", "planned", "required", "promised", "deadline"))
)
DONE = frozenset(
    map(stem, ("paid", "arrived", "shipped", "delivered", "returned", "completed", "finished",
               "closed", "actual", "done", "resolved", "received", "ended", "departed"))
)  # fmt: skip


def derived(table: Table) -> list[Column]:
    """What the dates of a table imply."""
    dates = [column for column in table.columns if column.kind is Kind.DATE]
    ends = {end for _, end in _pairs(dates)}
    begun = [c for c in dates if c not in ends and not BIRTH & set(c.words)]
    years = [column for column in table.columns if column.year_like]
    clocks = [column for column in table.columns if column.base == "time"]
    return [
        *_durations(dates),
        *_spans_of_years(years),
        *_parts(begun),
        *map(_hour, [*(date for date in begun if date.base != "date"), *clocks]),
        *map(_decade, [*years, *begun]),
        *_late(dates),
        *_ages(table),
    ]


def duration(start: Column, end: Column, unit: str = "") -> Column:
    """The time between two dates. unit: of the number that it is; else whatever `-` gives."""
    whole = unit in ("", "day") and {start.base, end.base} == {"date"}
    made = Made("days" if whole else "duration", (start, end), unit)
    column = _column(start.table, made, "duration", Kind.NUMBER if unit or whole else Kind.OTHER)
    column.words = ("duration", unit) if unit else ("duration",)
    named = *start.table.words[-1:], "time"  # `time` alone is of all dates
    until = *end.words[:1], "duration"  # of those that begin together: days to ship
    column.aliases = (
        (*((noun, unit) for noun in LASTING), (*until, unit))
        if unit
        else (("length",), ("stay",), named, until)
    )
    return column


def _durations(dates: list[Column]) -> Iterator[Column]:
    for start, end in _pairs(dates):
        timed = "date" not in (start.base, end.base)
        yield duration(start, end)
        for unit in UNITS if timed else ("day",):
            yield duration(start, end, unit)


def _spans_of_years(years: list[Column]) -> Iterator[Column]:
    """From the year of a birth to that of a death."""
    for start, end in _pairs(years):
        span = duration(start, end, "year")
        span.made = Made("days", (start, end), "year")
        yield span


def _pairs(columns: list[Column]) -> Iterator[tuple[Column, Column]]:
    """What begins, and what ends with it: a train departs before it arrives, a guest arrives before
    departing, and the table says first what comes first.
    """
    for start, end in permutations(columns, 2):
        both = _begins_and_ends(end, start)
        if _begins_and_ends(start, end) and not (
            both and columns.index(end) < columns.index(start)
        ):
            yield start, end


def _begins_and_ends(start: Column, end: Column) -> bool:
    first, last = (set(map(stem, column.words)) for column in (start, end))
    return any(
        stem(begin) in first and any(stem(word) in last for word in ends.split())
        for begin, ends in BEGINS.items()
    )


def _parts(dates: list[Column]) -> Iterator[Column]:
    for date in dates:
        weekend = _column(date.table, Made("weekend", (date,)), "weekend", Kind.BOOLEAN)
        weekday = _column(date.table, Made("weekday", (date,)), "weekday", Kind.NUMBER)
        weekend.aliases = ((*date.words[:1], "weekend"),)  # started on a weekend
        weekday.aliases = (("day", "of", "week"), ("week", "day"), (*date.words[:1], "weekday"))
        month = _column(date.table, Made("month", (date,)), "month", Kind.NUMBER)
        month.words = ("month", "of", "year")  # a month alone is one of a certain year
        month.aliases = ((*date.words[:1], *month.words),)
        yield weekend
        yield weekday
        yield month


def _hour(time: Column) -> Column:
    hour = _column(time.table, Made("hour", (time,)), "hour", Kind.NUMBER)
    hour.aliases = (("hour", "of", "day"), (*time.words[:1], "hour"))
    return hour


def _decade(when: Column) -> Column:
    how = "decade" if when.kind is Kind.DATE else "decade of years"
    return _column(when.table, Made(how, (when,)), "decade", Kind.NUMBER)


def _late(dates: list[Column]) -> Iterator[Column]:
    due = [column for column in dates if DUE & set(map(stem, column.words))]
    done = [column for column in dates if DONE & set(map(stem, column.words)) and column not in due]
    for one in due:
        for other in done[:2]:
            late = _column(one.table, Made("late", (one, other)), "late", Kind.BOOLEAN)
            late.aliases = tuple((word, "late") for word in other.words)
            overdue = _column(one.table, Made("overdue", (one, other)), "overdue", Kind.BOOLEAN)
            yield late
            yield overdue


def _ages(table: Table) -> Iterator[Column]:
    if any("age" in column.words for column in table.columns):
        return
    for column in table.columns:
        if column.kind is Kind.DATE and BIRTH & set(column.words):
            yield _column(table, Made("age", (column,)), "age", Kind.NUMBER)


def _column(table: Table, made: Made, name: str, kind: Kind) -> Column:
    return Column(table, name, kind.value, kind, words=(name,), made=made)
