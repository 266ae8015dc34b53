"""Which column words mean, in the light of the tables around them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from mcp_server.nl2sql.grammar.symbols import Symbol
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
END = 0.02
"""Of a date from and a date to, the first is what has no more said of it."""
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
        said = {stem(token.lemma) for token in self.tokens}
        return 0.3 * bool(said & {stem(word) for part in column.made.of for word in part.words})

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
        for table in (*near, *beside):
            for hint in hints:
                for column in table.columns:
                    measures = column.counts or column.kind is Kind.DATE
                    if measures and not (column.foreign or column.primary) and _named(column, hint):
                        return column
            days = [column for column in table.columns if column.kind is Kind.DATE]
            if "date" in hints and days:
                return days[0]
        return only

    def dated(self, value: object, local: Table | None) -> Column | None:
        """The column that a bare year or date is compared with."""
        columns = [column for table in self.tables(local) for column in table.columns]
        if isinstance(value, str):
            days = [column for column in columns if column.kind is Kind.DATE]
            return next(iter(self._of_what_happens(days)), None)
        if isinstance(value, int) and YEARS[0] <= value <= YEARS[1]:
            years = [c for c in columns if c.year_like or (c.counts and "year" in c.words)]
            years += [c for c in columns if c.kind is Kind.DATE]
            said = {token.lemma for token in self.tokens}
            years.sort(key=lambda column: -len(said & set(column.words)))
            return years[0] if years else None
        return None

    def day(self, local: Table | None) -> Column | None:
        """The column of dates that a period is of."""
        found = [c for t in self.tables(local) for c in t.columns if c.kind is Kind.DATE]
        found = self._of_what_happens(found)
        said = {stem(token.text) for token in self.tokens}
        heard = [c for c in found if said & {stem(word) for word in c.words[:1]}]
        found = heard or found
        return found[int(self.choices.between(len(found) > 1))] if found else None

    def _heard_days(self, table: Table) -> list[Column]:
        """The dates of a table by what happened then: acquired, opened."""
        said = {stem(token.lemma) for token in self.tokens}
        days = [column for column in table.columns if column.kind is Kind.DATE and column.words]
        return [column for column in days if stem(column.words[0]) in said - {stem("date")}]

    def _of_what_happens(self, dates: list[Column]) -> list[Column]:
        """Without days of birth, where a question speaks of no birth and other days are there."""
        born = bool(BIRTH & {token.lemma for token in self.tokens})
        others = [column for column in dates if not BIRTH & set(column.words)]
        return dates if born or not others else others

    def fitting(self, value: object, local: Table | None) -> Column | None:
        """The only column of numbers whose range holds a number that is said without a name."""
        table = local or self.subject
        if table is None or not isinstance(value, int | float):
            return None
        found = [
            column
            for column in table.columns
            if column.counts
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
    found = [c for c in table.columns if c.counts and not (c.primary or c.foreign or c.year_like)]
    return found[0] if len(found) == 1 else None


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
