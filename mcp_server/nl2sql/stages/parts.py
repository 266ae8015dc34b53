"""The parts of a question that takes steps: rows, measures of rows, and periods.

A part is asked as a question of its own, so all that a plain question may say may be said in it.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import INNER
from mcp_server.nl2sql.relations.naming import Names
from mcp_server.nl2sql.relations.phrases import PREPOSITIONS
from mcp_server.nl2sql.relations.ways import Step, Way, Ways, up
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.joined import NoJoinError, identifier, named
from mcp_server.nl2sql.words.dates import with_dates
from mcp_server.nl2sql.words.tokens import Mark, Token, lemma, stem, tokenize

ADJECTIVES_MAX = 2
NAME_WORDS = 4
LONGER_MAX = 6
DOING = frozenset({"have", "do", "be", "take", "make", "get"})
NAMED = 0.7
"""How surely words name a table: by an abbreviation at least."""
SUPPOSED = 0.95
"""What is left of the certainty where a part says less than it might."""
_NUMBER_OF = re.compile(r"^(?:the )?(?:number|count) of (?P<what>.+)$", re.IGNORECASE)
_ADDED_UP = re.compile(
    r"^(?:the |their |its )?(?P<how>total of|sum of|total|average|mean|maximum|minimum|highest"
    r"|lowest)(?: the)? (?P<what>.+)$",
    re.IGNORECASE,
)
_TOTALS = frozenset({"total", "sum of", "total of"})
_YEAR = re.compile(r"(?:(?:in|during|of) )?(\d{4})", re.IGNORECASE)
_BETWEEN = re.compile(r"between (\d{4}-\d\d-\d\d) and (\d{4}-\d\d-\d\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answered:
    """The query of a part, and how sure it is; None where it was declined. heard: whether each of
    its words was understood.
    """

    tree: exp.Query | None
    sure: float
    heard: bool = True


Answer = Callable[[str], Answered]
"""What a plain question means."""


@dataclass(frozen=True, slots=True)
class Things:
    """The rows that a question is about. where: conditions on them, of no other table."""

    table: Table
    where: tuple[exp.Expr, ...]
    sure: float
    key: Column


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted or added up of the rows of a table: `standing` selects just that."""

    standing: Standing
    table: Table
    sure: float

    @property
    def value(self) -> exp.Expr:
        """The aggregate, as the query writes it by now."""
        value: exp.Expr = self.standing.select.expressions[0].unalias()
        return value

    @property
    def counts(self) -> bool:
        """Whether it is how many there are."""
        return isinstance(self.value, exp.Count)


@dataclass(frozen=True, slots=True)
class Parts:
    """Reads the parts of one question."""

    linker: Linker
    graph: JoinGraph
    answer: Answer
    today: datetime.date

    def begun(self, text: str) -> Iterator[tuple[str, Table, str]]:
        """How a text may begin with rows: their words, their table, and the rest."""
        tokens = tokenize(text)
        for at in range(min(len(tokens), ADJECTIVES_MAX + 1)):
            for end in range(min(len(tokens), at + NAME_WORDS), at, -1):
                table = self._named(tokens[at:end])
                if table is not None:
                    yield said(tokens[:end]), table, said(tokens[end:])
                    yield from self._longer(tokens, table, end)
                    return

    def _longer(
        self, tokens: Sequence[Token], table: Table, end: int
    ) -> Iterator[tuple[str, Table, str]]:
        """The same with what says which rows are meant, up to a verb: customers in Oslo | had."""
        if tokens[end : end + 1] and tokens[end].lemma in PREPOSITIONS:
            for place in range(end + 2, min(len(tokens), end + LONGER_MAX)):
                if tokens[place].lemma in DOING:
                    yield said(tokens[:place]), table, said(tokens[place:])

    def table(self, text: str) -> Table | None:
        """The table that a text names, and nothing else."""
        return self._named(tokenize(text))

    def _named(self, tokens: Sequence[Token]) -> Table | None:
        """The one table that all of some words name best."""
        if not tokens or any(token.mark is not Mark.WORD for token in tokens):
            return None
        words = tuple(token.lemma for token in tokens)
        if {words[0], words[-1]} & INNER:
            return None
        found = [(t, s) for t, s in self.linker.tables(words) if s >= NAMED and not t.view]
        alone = len(found) == 1 or (len(found) > 1 and found[0][1] > found[1][1])
        if found:
            return found[0][0] if alone else None
        names = Names(tokens, self.linker, self.graph)
        return next((table for table, end in names.tables(0) if end == len(tokens)), None)

    def of(self, table: Table, key: Column) -> Things:
        """All rows of a table."""
        return Things(table, (), 1.0, key)

    def things(self, text: str, table: Table) -> Things | None:
        """The rows of a table that a noun with its adjectives names."""
        if table.key is None:
            return None
        if self.table(text) is table:
            return self.of(table, table.key)
        standing, sure = self._standing(f"list the {text}")
        plain = standing is not None and standing.tables == [table] and not _is_cut(standing)
        if standing is None or not plain or not standing.conditions():
            return None
        return Things(table, tuple(standing.conditions()), sure, table.key)

    def measure(self, text: str) -> Measure | None:
        """What a noun phrase measures: a number of rows, a total, an average."""
        counted = _NUMBER_OF.match(text)
        added = _ADDED_UP.match(text)
        if counted is not None:
            return self._counted_rows(counted["what"])
        if added is None:
            whole = self.rows(text) is not None
            return self._counted_rows(text) if whole else self._measured(f"total {text}", exp.Sum)
        total = added["how"].lower() in _TOTALS
        if not total:
            return self._measured(text, exp.Avg if added["how"].lower() in _MEANS else exp.AggFunc)
        return self._total(added["what"])

    def _counted_rows(self, text: str) -> Measure | None:
        """How many rows there are, of the table that is named."""
        found = self._measured(f"how many {text} are there", exp.Count)
        begun = next((table for _, table, _ in self.begun(text)), None)
        return found if found is not None and found.table is (self.rows(text) or begun) else None

    def rows(self, text: str) -> Table | None:
        """The table whose name a text ends with: late orders."""
        tokens = tokenize(text)
        named = (self._named(tokens[at:]) for at in range(len(tokens)))
        return next((table for table in named if table is not None), None)

    def _total(self, what: str) -> Measure | None:
        table = self.table(what)
        if table is not None:  # total fees: of a table of amounts, their sum
            amounts = [column for column in table.columns if column.adds_up]
            if len(amounts) != 1:
                return None
            value = exp.Sum(this=exp.column(identifier(amounts[0].name)))
            return self._of_tree(exp.select(value).from_(named(table)), 1.0, exp.Sum)
        return self._measured(f"total {what}", exp.Sum)

    def _measured(self, question: str, kind: type[exp.Expr]) -> Measure | None:
        found = self.answer(question)
        return None if found.tree is None else self._of_tree(found.tree, found.sure, kind)

    def _of_tree(self, tree: exp.Query, sure: float, kind: type[exp.Expr]) -> Measure | None:
        try:
            standing = Standing(tree, self.graph, self.linker.profile)
        except NoJoinError:
            return None
        select = standing.select
        if len(select.expressions) != 1 or select.args.get("group") or _is_cut(standing):
            return None
        value = select.expressions[0].unalias()
        if not isinstance(value, exp.AggFunc) or not isinstance(value, kind):
            return None
        of = standing.columns(value)
        tables = {column.table for column in of} or {self._counted(standing)}
        select.set("order", None)
        return Measure(standing, tables.pop(), sure) if len(tables) == 1 else None

    def _counted(self, standing: Standing) -> Table:
        """The table each of whose rows is a row of the query."""
        whole = [
            table for table in standing.tables
            if all(table is each or self.graph.single(table, each) for each in standing.tables)
        ]  # fmt: skip
        return whole[0] if whole else standing.main

    def _standing(self, question: str) -> tuple[Standing | None, float]:
        found = self.answer(question)
        if found.tree is None:
            return None, 0.0
        try:
            return Standing(found.tree, self.graph, self.linker.profile), found.sure
        except NoJoinError:
            return None, 0.0

    def by(self, measure: Measure, things: Things, verb: str) -> exp.Expr | None:
        """The key of those things in the query of a measure, over the way that a verb leaves; each
        row that is measured goes with one thing, or, where it is only counted, with several.
        """
        way = Ways(self.graph).between(measure.table, things.table, tokenize(verb))
        if way is None and not self.graph.keys_between(measure.table, things.table):
            way = self._link(measure.table, things.table)
        if way is None or any(len(step.here) != 1 for step in way.steps):
            return None
        up = [self._refers(step) for step in way.steps]
        if not all(up) and not (measure.counts and up == [False, True]):
            return None
        standing = measure.standing
        for step in way.steps[:-1]:
            if step.other in standing.tables:
                continue
            standing.onward(step.here[0], step.there[0])
        last = way.steps[-1]
        if last.there[0] is not things.key:
            return None
        return standing.column(last.here[0])

    def only_linked(self, one: Table, other: Table, verb: str) -> bool:
        """Whether it is a table of pairs that says which rows of two tables go together, where
        others could.
        """
        way, link = Ways(self.graph).between(one, other, tokenize(verb)), self._link(one, other)
        rivals = self.graph.keys_between(one, other)
        return link is not None and (way is None or (bool(rivals) and way.steps == link.steps))

    def _link(self, one: Table, other: Table) -> Way | None:
        """The way over the one table that holds nothing but which rows of two go together."""
        found = []
        for key in self.graph.keys_to(one):
            link = key.column.table
            for next_ in self.graph.keys_of(link):
                told_by = {column for column in link.columns if column.primary}
                if next_.target.table is other and told_by == {key.column, next_.column}:
                    found.append(Way((up(key).back, up(next_))))
        return found[0] if len(found) == 1 else None

    def _refers(self, step: Step) -> bool:
        """Whether a row of a step refers to one row."""
        here, there = step.here[0], step.there[0]
        keys = self.graph.keys_of(here.table)
        return any(key.column is here and key.target is there for key in keys)

    def when(self, measure: Measure, period: str, said_of_it: str) -> exp.Expr | None:
        """The condition that what is measured was in a period; None where no date says so.

        said_of_it: words that may tell which date is meant: `opened`, `date received`.
        """
        column = self._date(measure, period, said_of_it)
        if column is None:
            return None
        day = measure.standing.column(column)
        if column.dated_text:
            day = exp.cast(day, column.dated_text, dialect="postgres")
        text = with_dates(period, self.today)
        if (year := _YEAR.fullmatch(text.strip())) is not None:
            of_year = exp.Extract(this=exp.var("year"), expression=day)
            return exp.EQ(this=of_year, expression=exp.Literal.number(int(year[1])))
        both = _BETWEEN.search(text)
        if both is None:
            return None
        after = datetime.date.fromisoformat(both[2]) + datetime.timedelta(days=1)
        return exp.and_(
            exp.GTE(this=day, expression=exp.Literal.string(both[1])),
            exp.LT(this=day.copy(), expression=exp.Literal.string(str(after))),
        )

    def _date(self, measure: Measure, period: str, said_of_it: str) -> Column | None:
        """The date that is meant: the only one, that which words name, or that which is asked for
        where a question says no more than the period.
        """
        dates = [column for column in measure.table.columns if column.kind is Kind.DATE]
        told = {stem(lemma(word)) for word in said_of_it.lower().split()}
        named = [c for c in dates if told & {stem(word) for word in c.words}]
        if said_of_it and len(named) == 1:
            return named[0]
        if len(dates) == 1:
            return dates[0]
        if named or not dates:
            return None
        name = " ".join(measure.table.words)
        found, _ = self._standing(f"how many {name}s {period}")
        if found is None or found.tables != [measure.table]:
            return None
        used = [column for each in found.conditions() for column in found.columns(each)]
        return used[0] if len(used) == 1 and used[0] in dates else None


_MEANS = frozenset({"average", "mean"})


def said(tokens: Sequence[Token]) -> str:
    """Tokens as a text again."""
    return " ".join(token.text for token in tokens)


def _is_cut(standing: Standing) -> bool:
    parts = ("having", "limit", "offset", "group")
    return any(standing.select.args.get(part) for part in parts)
