"""Which column words mean, in the light of the tables around them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mcp_server.nl2sql.grammar.symbols import Symbol
from mcp_server.nl2sql.schema.derived import DUE
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.lexicon import BIRTH
from mcp_server.nl2sql.words.tokens import Token, lemma, stem
from mcp_server.nl2sql.words.ways import way_of

LOCAL, SUBJECT, SPOKEN_OF = 0.45, 0.2, 0.12
AWAY, UNREACHABLE, FAR = 0.05, 0.6, 99
NO_NUMBER = 0.5
YES = ("t", "true", "y", "yes", "1")
NO = ("f", "false", "n", "no", "0")
YEARS = (1400, 2100)
"""Numbers that may be years where nothing says so."""
ENDS = frozenset({"to", "end", "until"})
OF_ANY_DATE = frozenset(
    map(stem, ("date", "day", "time", "datetime", "timestamp", "at", "on", "of"))
)
MADE = frozenset(
    map(stem, ("created", "placed", "made", "issued", "booked", "recorded", "entered", "started"))
)
UPKEEP = DUE | frozenset(
    map(
        stem, ("updated", "modified", "changed", "edited", "deleted", "synced", "expires", "expiry")
    )
)
"""Dates of what is planned, or of the row itself: what happened, happened at another."""
END = 0.02
"""Of a date from and a date to, the first is what has no more said of it."""
TIMES = ("date", "day", "time", "datetime", "timestamp", "at", "on")
"""Words of columns that say no more than when."""
WITHIN = frozenset({"in", "at", "within", "through", "across", "near"})
KNOWN = 1.5
"""What a name that the question gives away weighs less than any other text."""
SIZES = frozenset({"size", "amount"})
"""What the hints of `largest` have: of things with one measure, it speaks of that."""
CLOSE = 0.12
"""Meanings that are nearer to each other than this are both tried."""


@dataclass(slots=True)
class Choices:
    """Decisions that could as well fall otherwise. swapped: the one that does, this time."""

    swapped: int | None = None
    made: int = 0

    def between(self, close: bool) -> bool:
        """Whether to take the second best."""
        if not close:
            return False
        self.made += 1
        return self.made - 1 == self.swapped


@dataclass(slots=True)
class Topic:
    """What a question speaks of: the tables around its words, and the words themselves."""

    tokens: Sequence[Token]
    graph: JoinGraph
    choices: Choices
    subject: Table | None = None
    spoken_of: list[Table] = field(default_factory=list)
    measured: list[Table] = field(default_factory=list)
    """The tables of what is measured: of the total sale price, the sales."""
    missing: list[Column] = field(default_factory=list)
    """What the rows are to lack: what was never paid was not paid in 2024."""

    def table(self, symbol: Symbol) -> Table | None:
        """The table that a symbol names."""
        ref = symbol.ref
        if ref is None or not ref.tables:
            return None
        second = len(ref.tables) > 1 and ref.tables[0][1] - ref.tables[1][1] < CLOSE / 2
        return ref.tables[1 if self.choices.between(second) else 0][0]

    def column(
        self, symbol: Symbol, local: Table | None = None, *, numeric: bool = False
    ) -> Column | None:
        """The column that a symbol names. local: the table that the words around it name."""
        ref = symbol.ref
        if ref is None or not ref.columns:
            return only_measure(ref.tables[0][0]) if numeric and ref and ref.tables else None
        near = local or self.subject
        called = None if numeric or near is None else generic(symbol, near)
        if called is not None:
            return called

        def weight(pair: tuple[Column, float]) -> float:
            column, score = pair
            off = 0.0
            if numeric and not (column.counts or column.kind is Kind.DATE):
                off += NO_NUMBER
            off += END * bool(ENDS & set(column.words))
            way = 0.1 * self._way(column, symbol)
            return score + self._nearness(column, local) - off + way + self._heard(column)

        return self._chosen([(pair[0], weight(pair)) for pair in ref.columns])

    def holder(
        self,
        symbol: Symbol,
        named: Sequence[Column],
        local: Table | None,
        others: Collection[Table | None] = (),
    ) -> tuple[Column, str] | None:
        """The column that holds a value, and the value as it is stored.

        named: columns that the words beside it may mean. others: tables whose rows the value is
        no name of.
        """
        ref = symbol.ref
        if ref is None or not ref.values:
            return None
        held = [pair for pair in ref.values if pair[0] in named] or ref.values

        lies_in = self._lies_in(symbol)

        def weight(column: Column) -> float:
            beside = 0.8 * self._way(column, symbol) - 0.1 * column.foreign
            own = column is name_of(column.table)
            spoken = column.table is (local or self.subject) and column.table in self.spoken_of
            known = own and ((lies_in and spoken) or column.table in others)
            return 1.4 * self._nearness(column, local) + beside - KNOWN * known

        texts = dict(reversed(held))
        column = self._chosen([(column, weight(column)) for column in texts])
        return None if column is None else (column, texts[column])

    def flag(self, symbol: Symbol, local: Table | None) -> Column | None:
        """The yes-or-no column that a symbol names."""
        columns = symbol.ref.columns if symbol.ref is not None else []
        weighed = [
            (column, score + self._nearness(column, local) + self._heard(column))
            for column, score in columns
            if truth_values(column)
        ]
        return self._chosen(weighed)

    def _heard(self, column: Column) -> float:
        """A computed column is of the date that the question speaks of."""
        if column.made is None:
            return 0.0
        said = {stem(token.lemma) for token in self.tokens} - OF_ANY_DATE
        words = {stem(word) for part in column.made.of for word in part.words}
        return 0.3 * bool(said & words) - CLOSE * bool(UPKEEP & words)

    def hinted(self, hints: Sequence[str], local: Table | None) -> Column | None:
        """The column that an adjective speaks of: `oldest` and a column for age."""
        near = self.tables(local)
        if "date" in hints and "age" not in hints:
            heard = [day for table in near[:1] for day in self._heard_days(table)]
            if heard:
                return heard[0]
        only = only_measure(near[0]) if near and SIZES & set(hints) else None
        beside = [
            t
            for t in self.graph.tables
            if not only and t not in near and near and self.graph.keys_between(near[0], t)
        ]
        of_people = {"age", "birth"} & set(hints)  # the newest customer was not born last
        for table in (*near, *beside):
            days = [column for column in table.columns if column.kind is Kind.DATE]
            others = table.columns
            if not of_people:
                days = self._of_what_happens(days)
                others = [c for c in others if c.kind is not Kind.DATE or c in days]
            for hint in hints:
                for column in others:
                    measures = column.counts or column.kind is Kind.DATE
                    if measures and not (column.foreign or column.primary) and _named(column, hint):
                        return column
            if "date" in hints and days:
                return days[0]
        return only

    def dated(self, value: object, local: Table | None) -> Column | None:
        """The column that a bare year or date is compared with."""
        columns = [c for t in self.tables(local) for c in t.columns if c not in self.missing]
        days = self._of_what_happens([c for c in columns if c.kind is Kind.DATE])
        if isinstance(value, str):
            return self._first(self._of_events(days))
        if isinstance(value, int) and YEARS[0] <= value <= YEARS[1]:
            years = [c for c in columns if c.year_like or (c.counts and "year" in c.words)]
            happened = self._of_what_happens([*years, *days])
            years = [column for column in happened if column in years]
            said = {token.lemma for token in self.tokens}
            heard = max(map(len, (said & set(c.words) for c in (*years, *days))), default=0)
            if heard:
                days = [c for c in (*years, *days) if len(said & set(c.words)) == heard]
                years = []
            return self._first(self._of_events(years or days))
        return None

    def day(self, local: Table | None) -> Column | None:
        """The column of dates that a period is of."""
        found = [c for t in self.tables(local) for c in t.columns if c.kind is Kind.DATE]
        found = [column for column in found if column not in self.missing]
        said = {stem(token.text) for token in self.tokens}
        found = self._of_events(self._of_what_happens(found))
        return self._first([c for c in found if said & set(map(stem, c.words[:1]))] or found)

    def _first(self, dates: Sequence[Column]) -> Column | None:
        """The first date, or the second where that is as good and is tried."""
        if not dates:
            return None
        close = len(dates) > 1 and _of_the_row(dates[0]) == _of_the_row(dates[1])
        close = close and not (
            dates[0].table in self.spoken_of and dates[1].table is not dates[0].table
        )
        return dates[int(self.choices.between(close))]

    def _heard_days(self, table: Table) -> list[Column]:
        """The dates of a table by what happened then: acquired, opened."""
        said = {stem(token.lemma) for token in self.tokens}
        days = [column for column in table.columns if column.kind is Kind.DATE and column.words]
        return [column for column in days if stem(column.words[0]) in said - {stem("date")}]

    def _of_events(self, dates: list[Column]) -> list[Column]:
        """The days of events before a day of the things that they are about: of sales, when they
        were made, rather than when who made them was hired. Unless the question says that.
        """
        first = dates[0] if dates else None
        if first is None or first.kind is not Kind.DATE or self._is_heard(first):
            return dates
        for table in dict.fromkeys((*self.measured, *self.spoken_of)):
            days = [c for c in table.columns if c.kind is Kind.DATE]
            if days and table is not first.table and self.graph.single(table, first.table):
                return [*self._of_what_happens(days), *dates]
        return dates

    def _is_heard(self, day: Column) -> bool:
        """Whether the question says what happened on a day: joined, hired."""
        own = {stem(word) for word in (*day.table.words, *TIMES)}
        said = {stem(token.lemma) for token in self.tokens}
        return bool(said & ({stem(word) for word in day.words} - own))

    def _of_what_happens(self, dates: list[Column]) -> list[Column]:
        """Without days of birth, where a question speaks of no birth and other days are there; and
        what happened before what is so of those to whom it did: of customers and their orders, when
        they were ordered, then when they are due, then when a customer joined.
        """
        born = bool(BIRTH & {token.lemma for token in self.tokens})
        others = [column for column in dates if not BIRTH & set(column.words)]
        found = dates if born or not others else others
        happening = {column.table for column in found}

        def later(column: Column) -> tuple[bool, bool]:
            theirs = any(key.column.table in happening for key in self.graph.keys_to(column.table))
            return theirs, not _of_the_row(column)

        return sorted(found, key=later)

    def fitting(self, value: object, local: Table | None) -> Column | None:
        """The only column of numbers whose range holds a number that is said without a name."""
        table = local or self.subject
        if table is None or not isinstance(value, int | float):
            return None
        found = [
            column
            for column in table.columns
            if (column.adds_up or column.year_like)
            and not (column.primary or column.foreign)
            and column.low is not None
            and column.high is not None
            and column.low <= value <= column.high
        ]
        return found[0] if len(found) == 1 else None

    def tables(self, local: Table | None) -> list[Table]:
        """The tables to look in, the nearest first."""
        found = [t for t in (local, self.subject, *self.spoken_of) if t is not None]
        return list(dict.fromkeys(found))

    def _nearness(self, column: Column, local: Table | None) -> float:
        near = 0.0
        if column.table is local:
            near += LOCAL
        if column.table is self.subject:
            near += SUBJECT
        if column.table in self.spoken_of:
            near += SPOKEN_OF
        start = local or self.subject
        if start is not None and column.table is not start:
            distance = self.graph.distance(start, column.table)
            near -= AWAY * min(distance, 6) if distance < FAR else UNREACHABLE
        return near - 0.04 * column.foreign

    def _lies_in(self, symbol: Symbol) -> bool:
        """Whether a value stands behind a word of place: rivers in Ohio are not called so."""
        before = [t.lemma for t in self.tokens[max(0, symbol.start - 2) : symbol.start]]
        before = before[:-1] if before[-1:] == ["the"] else before
        return bool(WITHIN & set(before[-1:]))

    def _way(self, column: Column, symbol: Symbol) -> int:
        """1 where a column is the way (from, to) that the words before speak of, -1 if not."""
        return way_of(column.name, self.tokens[max(0, symbol.start - 4) : symbol.end])

    def _chosen(self, weighed: list[tuple[Column, float]]) -> Column | None:
        if not weighed:
            return None
        ranked = sorted(weighed, key=lambda pair: -pair[1])
        close = len(ranked) > 1 and ranked[0][1] - ranked[1][1] < CLOSE
        return ranked[1 if self.choices.between(close) else 0][0]


def only_measure(table: Table) -> Column | None:
    """What rows of a table measure, where that is one thing: the stars of a rating."""
    found = [column for column in table.columns if column.adds_up]
    return found[0] if len(found) == 1 else None


def _of_the_row(date: Column) -> bool:
    """Whether rows of a table are of that date: orders of when they were ordered, all of when they
    were made.
    """
    words = set(map(stem, date.words)) - OF_ANY_DATE
    return not words or bool(words & MADE) or words <= set(map(stem, date.table.words))


def _named(column: Column, hint: str) -> bool:
    return hint in column.words or any(w.endswith(hint) and len(hint) > 3 for w in column.words)


def generic(symbol: Symbol, owner: Table) -> Column | None:
    """`id` and `name` of a thing are its key and the column that it is called by."""
    words = [word for word in symbol.text.lower().split() if word not in ("the", "of")]
    match [lemma(word) for word in words]:
        case ["id"]:
            return owner.key or next((c for c in owner.columns if c.words[-1:] == ("id",)), None)
        case ["name"]:
            return name_of(owner)
        case _:
            return None


def columns_of(symbol: Symbol) -> Iterator[Column]:
    """Every column that a symbol may mean, or that is of the table which it names."""
    if symbol.ref is not None:
        yield from (column for column, score in symbol.ref.columns if score >= 0.6)
        for table, score in symbol.ref.tables:
            if score >= 0.8:
                yield from table.columns


def is_done(symbol: Symbol) -> bool:
    """Whether a name is a participle: `paid`, `started at`."""
    return symbol.text.lower().split()[0].endswith(("ed", "en", "aid", "ing"))


def when_done(symbol: Symbol) -> Column | None:
    """The date that says that something was done, of a participle: `cancelled`, `cancelled_on`."""
    columns = symbol.ref.columns if symbol.ref is not None else []
    if not columns or not is_done(symbol):
        return None
    column = columns[0][0]
    dated = column.kind is Kind.DATE and column.made is None and not column.full
    done = dated and len(columns) == 1
    return column if done and stem(symbol.text.split()[0]) == stem(column.words[0]) else None


def truth_values(column: Column) -> tuple[str | int | bool, str | int | bool] | None:
    """What a yes-or-no column holds for yes and for no; None for any other column."""
    if column.kind is Kind.BOOLEAN:
        return True, False
    if not (column.values and column.kind is Kind.TEXT):
        return None
    held = set(column.values)
    if not held <= {*YES, *NO} or len(held) > 2:
        return None
    yes = next((column.values[each] for each in YES if each in held), None)
    no = next((column.values[each] for each in NO if each in held), None)
    if yes is None:
        return None
    return yes, no if no is not None else ""
