"""Rows that are like others: in the same city as Ann, older than Ann, as those they refer to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import role_words, root
from mcp_server.nl2sql.relations.naming import Names
from mcp_server.nl2sql.relations.rows import Read, Rows
from mcp_server.nl2sql.relations.ways import Ways, own_keys, selected, sql_column
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.sql.joined import identifier, named
from mcp_server.nl2sql.words.lexicon import BIRTH

Nouns: TypeAlias = Callable[[int, int], Iterator[Read]]

LEADING = frozenset(
    {"that", "which", "who", "be", "live", "work", "have", "share", "come", "sit", "in", "from",
     "at", "with", "of", "on", "belong", "to", "born"}
)  # fmt: skip
THEIRS = frozenset({"their", "his", "her", "its"})
OTHER = "other"
SOONER = {"before": exp.LT, "earlier": exp.LT, "after": exp.GT, "later": exp.GT}
AGES = {"older": exp.LT, "younger": exp.GT}


@dataclass(frozen=True, slots=True)
class Likes:
    """Reads what rows have in common with others."""

    ways: Ways

    def clause(self, rows: Rows, at: int, names: Names, nouns: Nouns) -> Iterator[Read]:
        """Who live in the same city as Ann, who were hired before their manager."""
        yield from self._same(rows, at, names, nouns)
        yield from self._sooner(rows, at, names, nouns)
        yield from self._of_theirs(rows, at, names)

    def _of_theirs(self, rows: Rows, at: int, names: Names) -> Iterator[Read]:
        """Who live in the city of their branch: a column that is as that of a row referred to."""
        tokens, table = names.tokens, rows.table
        while at < len(tokens) and tokens[at].lemma in LEADING:
            at += 1
        start = at + (at < len(tokens) and tokens[at].lemma == "the")
        for end in range(start + 1, min(len(tokens) - 2, start + 4)):
            if tokens[end].lemma != "of" or tokens[end + 1].lemma not in THEIRS:
                continue
            for stop in range(min(len(tokens), end + 5), end + 2, -1):
                named_so = [t for t, last in names.tables(end + 2) if last == stop]
                keys = [
                    key
                    for key in names.graph.keys_of(table)
                    if key.target.table in named_so
                    or role_words(key.column, key.target.table) == names.lemmas(end + 2, stop)
                ]
                if len(keys) != 1 or keys[0].beside:
                    continue
                own = names.column(start, end, table)
                their = names.column(start, end, keys[0].target.table)
                if own is not None and their is not None:
                    yield rows.also(_alike_there(keys[0], own, their, exp.EQ)).specially(), stop
                return

    def _same(self, rows: Rows, at: int, names: Names, nouns: Nouns) -> Iterator[Read]:
        tokens = names.tokens
        while at < len(tokens) and tokens[at].lemma in LEADING:
            at += 1
        start = at + (at < len(tokens) and tokens[at].lemma == "the")
        if start + 2 >= len(tokens) or tokens[start].lemma != "same":
            return
        for end in range(start + 2, min(len(tokens), start + 6)):
            if tokens[end].lemma != "as":
                continue
            column = same_column(names, start + 1, end, rows.table)
            if column is None:
                return
            yield from self._theirs(rows, column, column, exp.EQ, end + 1, names)
            for other, stop in nouns(end + 1, 1):
                if other.table is rows.table and other.named:
                    alike = exp.In(
                        this=sql_column(column),
                        query=selected(rows.table, (column,), other.where).subquery(),
                    )
                    but = [exp.Not(this=each.copy()) for each in other.where]
                    yield rows.also(alike, *but).specially(), stop

    def _theirs(
        self,
        rows: Rows,
        own: Column,
        their: Column,
        kind: type[exp.Binary],
        at: int,
        names: Names,
    ) -> Iterator[Read]:
        """As their manager: a comparison with the row of its table that a row refers to."""
        tokens = names.tokens
        if at + 1 >= len(tokens) or tokens[at].lemma not in THEIRS:
            return
        table = rows.table
        for key in own_keys(self.ways.graph, table):
            if role_words(key.column, table) != (tokens[at + 1].lemma,):
                continue
            yield rows.also(_alike_there(key, own, their, kind)).specially(), at + 2

    def _sooner(self, rows: Rows, at: int, names: Names, nouns: Nouns) -> Iterator[Read]:
        """Older than Ann; hired before Ann, or before their manager."""
        tokens = names.tokens
        while at < len(tokens) and tokens[at].lemma in ("that", "which", "who", "be"):
            at += 1
        if at + 2 >= len(tokens):
            return
        word = tokens[at].text.lower()
        dates = [column for column in rows.table.columns if column.kind is Kind.DATE]
        column: Column | None = None
        kind: type[exp.Binary] | None = None
        place = at + 1
        if word in AGES and tokens[at + 1].lemma == "than":
            born = [each for each in dates if BIRTH & set(each.words)]
            if any("age" in each.words for each in rows.table.columns):
                return  # told by that
            column, kind, place = next(iter(born), None), AGES[word], at + 2
        elif tokens[at + 1].lemma in SOONER:
            said = [d for d in dates if root(word) in {root(each) for each in d.words}]
            column = said[0] if len(said) == 1 else None
            kind = SOONER[tokens[at + 1].lemma]
            place = at + 2 + (tokens[at + 2].lemma == "than")
        if column is None or kind is None:
            return
        yield from self._theirs(rows, column, column, kind, place, names)
        for other, stop in nouns(place, 1):
            if other.table is rows.table and other.named:
                query = selected(rows.table, (column,), other.where)
                yield (
                    rows.also(
                        kind(this=sql_column(column), expression=query.subquery())
                    ).specially(),
                    stop,
                )


def _alike_there(key: ForeignKey, own: Column, their: Column, kind: type[exp.Binary]) -> exp.Expr:
    """A comparison of a column with that of the row that a key refers to."""

    def there(column: Column) -> exp.Column:
        return exp.column(identifier(column.name), table=identifier(OTHER))

    def here(column: Column) -> exp.Column:
        return exp.column(identifier(column.name), table=identifier(key.column.table.name))

    query = exp.select(exp.Literal.number(1))
    query = query.from_(exp.alias_(named(key.target.table), OTHER, table=True))
    query = query.where(exp.EQ(this=there(key.target), expression=here(key.column)))
    return exp.Exists(this=query.where(kind(this=here(own), expression=there(their))))


def same_column(names: Names, start: int, end: int, table: Table) -> Column | None:
    """The column of a table in which rows are alike: the city, or the key of the office."""
    column = names.column(start, end, table)
    if column is not None and not column.primary:
        return column
    key = names.role(start, end, table)
    if key is None:
        tables = [other for other, stop in names.tables(start) if stop == end]
        keys = [each for each in names.graph.keys_of(table) if each.target.table in tables]
        key = keys[0] if len(keys) == 1 else None
    return key.column if key is not None and not key.beside else None
