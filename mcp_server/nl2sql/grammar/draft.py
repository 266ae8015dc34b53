"""A reading as it grows: the query so far, and what the phrases read have made known."""

from collections.abc import Hashable, Sequence
from dataclasses import replace

from mcp_server.nl2sql.grammar.alphabet.kinds import OR
from mcp_server.nl2sql.grammar.columns import (
    Choices,
    Topic,
)
from mcp_server.nl2sql.grammar.symbols import Symbol
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.logical import (
    AnyOf,
    Compare,
    Condition,
    Linked,
    Nested,
    Output,
    Query,
    Ranked,
    Scalar,
)
from mcp_server.nl2sql.words.tokens import Token


class Draft:
    """The query of one cover. lost: places of the question that were of no use."""

    def __init__(
        self,
        symbols: Sequence[Symbol],
        tokens: Sequence[Token],
        graph: JoinGraph,
        choices: Choices,
    ) -> None:
        self.symbols = symbols
        self.tokens = tokens
        self.graph = graph
        self.around = Topic(tokens, graph, choices)
        self.query = Query()
        self.lost: list[int] = []
        self.focus: Table | None = None
        """The table that was spoken of last."""
        self.entities: dict[int, Table] = {}
        """The tables that symbols name."""
        self.existing: list[Table] = []
        """Tables whose rows must exist, unless they get another part."""
        self.joint = ""
        """The word between the last phrase and this one."""
        self.negating = False
        """Whether a `not` waits for what it denies."""
        self.denied_from = 0
        """The place in the conditions where it was said."""
        self.limit: int | None = None
        """The symbol of a number of rows that waits for an order."""
        self.nth: int | None = None
        """The symbol of the place in an order that is asked for, where it is not the first."""
        self.beyond: Compare | None = None
        """A comparison with an aggregate; what follows limits the rows of that."""
        self.value_table: Table | None = None
        """The table of the last value, if it is not the subject."""
        self.absent: tuple[Table, list[Condition]] | None = None
        """A table whose rows must not exist, and the conditions on them so far."""
        self.shows: list[tuple[int, Output]] = []
        """What is shown, with the places that ask for it."""

        self.listed_from = 0
        """So many columns were asked for before a sentence that lists what to show."""

    def state(self) -> Hashable:
        """Equal as long as no phrase has said anything new, or was lost."""
        query = self.query
        parts = (query.select, query.computed, query.where, query.group, query.group_tables,
                 query.periods, query.having, query.order, query.each, self.lost)  # fmt: skip
        absent = None if self.absent is None else (self.absent[0], tuple(self.absent[1]))
        return (
            *(tuple(part) for part in parts),
            query.limit,
            query.combine is None,
            absent,
            self.negating,
        )

    def column(self, at: int | None, *, numeric: bool = False) -> Column | None:
        """The column that a place means; None if none fits."""
        if at is None:
            return None
        return self.around.column(
            self.symbols[at], self.focus or self.around.subject, numeric=numeric
        )

    def value(self, at: int) -> Scalar:
        """The value at a place: a number where it reads as one, else its text."""
        symbol = self.symbols[at]
        text = symbol.text
        if symbol.value is None or (len(text) > 1 and text.startswith("0")):
            return text
        return symbol.value

    def add(self, condition: Condition) -> None:
        """A condition more: `or` joins it to the one before."""
        query = self.query
        if (
            self.beyond is not None
            and not self.joint
            and not isinstance(condition, Ranked | Linked)
        ):
            self.within(self.beyond, condition)
            return
        self.beyond = None
        if self.absent is not None:
            table, inner = self.absent
            column = getattr(condition, "column", None)
            subject = self.around.subject
            if (
                column is None
                or subject is None
                or (
                    self.graph.distance(table, column.table)
                    <= self.graph.distance(subject, column.table)
                    and column.table is not subject
                )
            ):
                inner.append(condition)
                return
            self.close_absence()
        if self.joint in OR and query.where:
            before = query.where.pop()
            query.where.append(AnyOf((*_alternatives(before), *_alternatives(condition))))
        else:
            query.where.append(condition)

    def last_compare(self) -> Compare | None:
        """The last comparison, which `or` may go on with."""
        last = self.query.where[-1] if self.query.where else None
        return last if isinstance(last, Compare) else None

    def within(self, outer: Compare, condition: Condition) -> None:
        """A condition on what an average is taken of: older than the average Frenchman."""
        nested, where = outer.value, self.query.where
        assert isinstance(nested, Nested)
        inner = replace(nested, where=(*nested.where, condition))
        self.beyond = Compare(outer.column, outer.operator, inner)
        where[where.index(outer)] = self.beyond

    def close_absence(self) -> None:
        """End the part about what there is none of."""
        if self.absent is not None:
            table, inner = self.absent
            self.absent = None
            self.query.where.append(Linked(table, tuple(inner), negated=True))
            self.focus = self.around.subject


def _alternatives(condition: Condition) -> tuple[Condition, ...]:
    """What `or` stands between: one list of alternatives, never one within another."""
    return condition.conditions if isinstance(condition, AnyOf) else (condition,)


def measures(column: Column) -> bool:
    """Whether a column's values can be more or less."""
    return column.counts or column.kind is Kind.DATE
