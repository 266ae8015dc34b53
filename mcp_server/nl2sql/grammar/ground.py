"""From phrases to the logical form: which tables and columns, and how conditions hang together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mcp_server.nl2sql.grammar.columns import (
    Choices,
    Surroundings,
    columns_of,
    only_measure,
    truth_values,
)
from mcp_server.nl2sql.grammar.cover import Cover
from mcp_server.nl2sql.grammar.display import name_of, shown
from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Beyond,
    Bound,
    Columns,
    Common,
    Count,
    Difference,
    Entity,
    Equal,
    Flag,
    Group,
    Held,
    HowMany,
    InBoth,
    Joint,
    Limit,
    Match,
    Missing,
    Node,
    Numbered,
    Range,
    Rank,
    SameAs,
    Share,
    Show,
    Sort,
    Total,
)
from mcp_server.nl2sql.grammar.symbols import Symbol
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.logical import (
    AnyOf,
    Arithmetic,
    Between,
    Compare,
    Condition,
    Frequent,
    Having,
    Like,
    Linked,
    Nested,
    Null,
    Often,
    Order,
    Output,
    Query,
    Ranked,
    Scalar,
    ShareOf,
)
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.tokens import Token, normal_text, stem

BIRTH = frozenset({"birth", "born", "birthday", "birthdate", "dob"})
EVERYTHING = frozenset({"information", "info", "detail", "data", "everything"})
"""Words that ask for all columns."""
GROUND_TRIES = 3
COUNT_MAX = 1000
"""A number that is said without a unit counts rows only below this."""


@dataclass(slots=True)
class Grounded:
    """A query, and what of the question it could not make use of."""

    query: Query
    lost: list[int] = field(default_factory=list)


def grounded(
    cover: Cover, symbols: Sequence[Symbol], tokens: Sequence[Token], graph: JoinGraph
) -> Iterator[Grounded]:
    """Queries for a cover: the likeliest, then those in which one close decision falls otherwise."""
    choices = Choices()
    yield _Ground(symbols, tokens, graph, choices).query(cover)
    for swapped in range(min(choices.made, GROUND_TRIES)):
        yield _Ground(symbols, tokens, graph, Choices(swapped)).query(cover)


class _Ground:
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
        self.around = Surroundings(tokens, graph, choices)
        self.found = Grounded(Query())
        self.focus: Table | None = None
        self.entities: dict[int, Table] = {}
        self.existing: list[Table] = []
        self.last: list[Condition] = []
        self.joint = ""
        self.negating = False
        self.limit: int | None = None
        self.beyond: Compare | None = None
        self.value_table: Table | None = None
        self.absent: tuple[Table, list[Condition]] | None = None
        self.shows: list[tuple[int, Output]] = []

    # the whole --------------------------------------------------------------------------------

    def query(self, cover: Cover) -> Grounded:
        nodes = cover.nodes
        self.found.lost.extend(cover.skipped)
        self._tables(nodes)
        for number, node in enumerate(nodes):
            self._take(node, number, nodes)
            if not isinstance(node, Joint | Entity):
                self.joint = ""
        self._close_absence()
        if self.limit is not None:
            self.found.lost.append(self.limit)
        self._complete(nodes)
        return self.found

    def _tables(self, nodes: Sequence[Node]) -> None:
        """The tables that are spoken of, and the one whose rows are asked for."""
        around = self.around
        for number, node in enumerate(nodes):
            at = _table_place(node)
            table = around.table(self.symbols[at]) if at is not None else None
            if isinstance(node, Count) and at is not None and table is None:
                ref = self.symbols[at].ref
                table = ref.values[0][0].table if ref is not None and ref.values else None
            if at is not None and table is not None:
                self.entities[at] = table
                if isinstance(node, Absent):
                    continue
                around.spoken_of.append(table)
                asked = isinstance(node, Entity) or (
                    isinstance(node, Count | Share) and self._counts_rows(at)
                )
                if around.subject is None and asked:
                    around.subject = table
        if around.subject is None:
            around.subject = self._subject(nodes)

    def _subject(self, nodes: Sequence[Node]) -> Table | None:
        if self.around.spoken_of:
            first = next((n for n in nodes if isinstance(n, Show | Count | Sort)), None)
            ref = self.symbols[first.at].ref if first and first.at is not None else None
            if ref is not None and ref.columns and not isinstance(first, Sort):
                tables = [
                    column.table for column, score in ref.columns if score > ref.best_column - 0.1
                ]
                return next((t for t in self.around.spoken_of if t in tables), tables[0])
            return self.around.spoken_of[0]
        best: dict[Table, float] = {}
        for symbol in self.symbols:
            if symbol.ref is None:
                continue
            weights: dict[Table, float] = {}
            for column, score in symbol.ref.columns:
                weights[column.table] = max(weights.get(column.table, 0.0), score)
            for column, _ in symbol.ref.values:
                weights[column.table] = max(weights.get(column.table, 0.0), 0.5)
            for table, weight in weights.items():
                best[table] = best.get(table, 0.0) + weight
        return max(best, key=lambda table: best[table]) if best else None

    def _counts_rows(self, at: int) -> bool:
        ref = self.symbols[at].ref
        if ref is None or not ref.tables:
            return ref is not None and not ref.columns and bool(ref.values)
        return ref.best_table >= ref.best_column - 0.05

    def _take(self, node: Node, number: int, nodes: Sequence[Node]) -> None:
        match node:
            case Joint(kind=kind):
                self.joint = kind if kind != "," or not self.joint else self.joint
                if kind in "!.":
                    self._close_absence()
            case Show():
                self._show(node, self._owner(number, nodes))
            case Count():
                self._count(node, self._owner(number, nodes))
            case Share():
                self._share()
            case Limit(count):
                self.limit = count
            case InBoth():
                self._in_both(node)
            case Difference():
                self._difference(node, self._owner(number, nodes))
            case Entity():
                self._entity(node)
            case Group():
                self._group(node, self._owner(number, nodes))
            case Rank():
                self._rank(node, number, nodes)
            case Common():
                self._common(node)
            case Sort():
                self._sort(node)
            case HowMany():
                self._how_many(node)
            case Total():
                column = self._column(node.at, numeric=True)
                if column is not None:
                    value = self._value(node.value)
                    self.found.query.having.append(
                        Having(node.operator, value, node.aggregate, column)
                    )
            case Absent():
                self._close_absence()
                table = self.entities.get(node.at)
                if table is not None and table is not self.around.subject:
                    self.absent = (table, [])
                    self.focus = table
                else:
                    self.negating = True
            case _:
                self._condition(node)

    # what is shown ----------------------------------------------------------------------------

    def _owner(self, number: int, nodes: Sequence[Node]) -> Table | None:
        """The table that the words around say a column is of: `names of dogs`, `dog names`."""
        for later in nodes[number + 1 :]:
            if isinstance(later, Entity) and later.owner:
                return self.entities.get(later.at)
            if not isinstance(later, Show | Count) and later not in (Joint("&"), Joint(",")):
                break
        before = nodes[number - 1] if number else None
        if isinstance(before, Entity):
            return self.entities.get(before.at)
        return self.focus if number and self.found.query.select else None

    def _show(self, node: Show, owner: Table | None) -> None:
        numeric = node.aggregate in ("sum", "avg") or (
            node.aggregate is not None and not self.symbols[node.at].ref.columns  # type: ignore[union-attr]
        )
        column = self.around.column(self.symbols[node.at], owner, numeric=numeric)
        if column is None:
            self.found.lost.append(node.at)
            return
        if node.aggregate in ("sum", "avg") and not column.counts:
            ref = self.symbols[node.at].ref
            only = only_measure(ref.tables[0][0]) if ref is not None and ref.tables else None
            if only is None:
                self.found.lost.append(node.at)
            column = only or column
        distinct = node.distinct and node.aggregate is not None
        if node.distinct and node.aggregate is None:
            self.found.query.distinct = True
        output = Output(column, node.aggregate, distinct)
        self.found.query.select.append(output)
        self.shows.append((node.at, output))

    def _count(self, node: Count, owner: Table | None) -> None:
        if node.at is None:
            self.found.query.select.append(Output(None, "count", table=self.around.subject))
            return
        symbol = self.symbols[node.at]
        table = self.entities.get(node.at)
        ref = symbol.ref
        by_rows = table is not None and self._counts_rows(node.at)
        column = None if by_rows else self.around.column(symbol, owner)
        if column is not None and column.table is table and ref and ref.best_table >= 0.9:
            column = None
        if column is not None and not (column.primary and column.table is self.around.subject):
            measured = (
                column.counts and not (column.foreign or column.primary) and not node.distinct
            )
            varied = column.distinct * 2 > column.table.rows
            if measured and varied and not column.year_like:
                listed = any(not output.aggregate for output in self.found.query.select)
                plain = self.around.choices.between(True) != listed
                self.found.query.select.append(Output(column, None if plain else "sum"))
            elif measured and self.around.choices.between(True):
                self.found.query.select.append(Output(column, "sum"))
            else:
                self.found.query.select.append(Output(column, "count", distinct=True))
            return
        if table is not None:
            self.focus = table
            distinct = node.distinct and table.key is not None and table is not self.around.subject
            key = table.key if distinct else None
            self.found.query.select.append(
                Output(key, "count", distinct=distinct, table=None if key else table)
            )
        elif column is not None:
            self.found.query.select.append(Output(None, "count", table=column.table))

    def _in_both(self, node: InBoth) -> None:
        query = self.found.query
        tables = [self.around.table(self.symbols[at]) for at in (node.one, node.other)]
        sides: list[list[Output]] = []
        for table in tables:
            shown_there = []
            for at, _ in self.shows:
                column = self.around.column(self.symbols[at], table)
                if column is not None and column.table is table:
                    shown_there.append(Output(column))
            sides.append(shown_there)
        if not sides[0] or len(sides[0]) != len(sides[1]):
            self.found.lost += [node.one, node.other]
            return
        query.select[:] = sides[0]
        self.around.subject = tables[0]
        query.combine = ("intersect", Query(subject=tables[1], select=sides[1]))

    def _share(self) -> None:
        self.found.query.computed.append(ShareOf())

    def _difference(self, node: Difference, owner: Table | None) -> None:
        sides = []
        for side in (node.left, node.right):
            column = self.around.column(self.symbols[side.at], owner, numeric=True)
            if column is None:
                self.found.lost.append(side.at)
                return
            sides.append(Output(column, side.aggregate))
        self.found.query.computed.append(Arithmetic(node.operator, *sides))

    def _entity(self, node: Entity) -> None:
        table = self.entities.get(node.at)
        if table is None:
            self.found.lost.append(node.at)
            return
        if self.joint in ("&", ",", "!") and table is self.around.subject:
            self._close_absence()
        self.focus = table
        if self.negating and table is not self.around.subject:
            self.negating = False
            self.absent = (table, [])
            return
        if self.beyond is None:
            self.existing.append(table)

    # groups, ranks, order ---------------------------------------------------------------------

    def _group(self, node: Group, owner: Table | None) -> None:
        symbol, query = self.symbols[node.at], self.found.query
        table, ref = self.entities.get(node.at), symbol.ref
        column = self.around.column(symbol, owner or self.focus)
        if ref is None:
            return
        if table is not None and (column is None or ref.best_table >= ref.best_column - 0.05):
            own = column is not None and column.table is self.around.subject
            own = own and ref.best_column > ref.best_table - 0.15
            own = own and (not column.foreign or self.around.choices.between(True))
            if not own:
                self.focus = table
                query.group_tables.append(table)
                return
        if column is not None:
            query.group.append(column)

    def _rank(self, node: Rank, number: int, nodes: Sequence[Node]) -> None:
        count = node.count if node.count is not None else self.limit
        self.limit = None if count is self.limit else self.limit
        limit = int(self._value(count)) if count is not None else 1
        order = self._rank_order(node)
        if order is None:
            if node.at is not None:
                self.found.lost.append(node.at)
            return
        query, subject = self.found.query, self.around.subject
        target = self.focus
        if number and isinstance(nodes[number - 1], Entity):
            target = self.entities.get(nodes[number - 1].at, target)
        inner = (
            target is not None
            and target is not subject
            and target not in (order.table,)
            and all(
                output.column is None or output.column.table is not target
                for output in query.select
            )
            and target not in query.group_tables
        )
        if inner and target is not None and (order.aggregate or order.column):
            if order.column is None or order.column.table is target or order.aggregate:
                self._add(Ranked(target, order, limit))
                return
        if query.order:
            return
        query.order.append(order)
        query.limit = limit

    def _rank_order(self, node: Rank) -> Order | None:
        around = self.around
        local = self.focus or around.subject
        if node.at is None and node.aggregate == "count":
            return Order(node.descending, aggregate="count")
        if node.at is None:
            return self._hinted(node.hints, node.descending, local)
        symbol = self.symbols[node.at]
        table = self.entities.get(node.at)
        column = around.column(symbol, local, numeric=True)
        ref = symbol.ref
        measure = column is not None and (column.counts or column.kind is Kind.DATE)
        keyed = column is not None and (column.foreign or column.primary)
        if node.aggregate == "count":
            if table is not None and ref and (ref.best_table >= ref.best_column - 0.3 or keyed):
                return Order(node.descending, aggregate="count", table=table)
            if column is not None and measure and not keyed:
                return Order(node.descending, column=column)
            if column is not None:
                return Order(node.descending, column=column, aggregate="count")
            return None
        if column is not None and measure and not keyed:
            down = node.descending
            if node.hints and set(column.words) & BIRTH:
                down = not down
            return Order(down, column=column, aggregate=node.aggregate)
        if table is not None:
            if node.hints:
                hinted = self._hinted(node.hints, node.descending, table)
                if hinted is not None:
                    return hinted
            return Order(node.descending, aggregate="count", table=table)
        if column is not None:
            return Order(node.descending, column=column, aggregate="count")
        return None

    def _hinted(self, hints: Sequence[str], descending: bool, local: Table | None) -> Order | None:
        column = self.around.hinted(hints, local)
        if column is None:
            return None
        down = descending
        young = "age" in hints
        if young and column.words[-1:] != ("age",) and set(column.words) & BIRTH:
            down = not down
        elif young and (column.kind is Kind.DATE or column.year_like):
            down = not down
        return Order(down, column=column)

    def _common(self, node: Common) -> None:
        query = self.found.query
        if query.order:
            return
        limit = int(self._value(node.count)) if node.count is not None else 1
        table = None
        if node.at is not None:
            symbol = self.symbols[node.at]
            table = self.entities.get(node.at)
            column = self.around.column(symbol, self.focus)
            ref = symbol.ref
            if (
                column is not None
                and ref
                and (table is None or ref.best_column >= ref.best_table - 0.05)
            ):
                others = [
                    o for o in query.select if o.column is not column and o.aggregate != "count"
                ]
                if others and node.count is None:
                    self._add(Frequent(column, node.descending, limit))
                    return
                query.group.append(column)
                query.order.append(Order(node.descending, aggregate="count"))
                query.limit = limit
                if not query.select:
                    query.select.append(Output(column))
                return
        table = table or self.around.subject
        if table is None:
            return
        if self.around.subject is None:
            self.around.subject = table
        query.order.append(Order(node.descending, aggregate="count", table=self._referring(table)))
        query.limit = limit

    def _referring(self, table: Table) -> Table | None:
        """The table whose rows speak of another's: loans of books."""
        found = [
            other
            for other in self.around.spoken_of
            if other is not table
            and any(k.target.table is table for k in self.graph.keys_between(table, other))
        ]
        if found:
            return found[0]
        near = [
            other
            for other in self.graph.tables
            if other is not table
            and any(k.target.table is table for k in self.graph.keys_between(table, other))
        ]
        return near[0] if len(near) == 1 else None

    def _sort(self, node: Sort) -> None:
        query = self.found.query
        if query.order and query.limit is not None:
            return
        if node.at is None:
            query.order.append(Order(node.descending))
            return
        symbol = self.symbols[node.at]
        table = self.entities.get(node.at)
        if node.aggregate == "count":
            if table is not None:
                query.order.append(Order(node.descending, aggregate="count", table=table))
                return
        column = self.around.column(symbol, self.focus, numeric=node.aggregate in ("avg", "sum"))
        if column is None:
            if table is not None and shown(table):
                column = shown(table)[0]
            else:
                self.found.lost.append(node.at)
                return
        aggregate = node.aggregate
        if self.limit is not None:
            query.limit, self.limit = int(self._value(self.limit)), None
        if aggregate is None:
            for at, output in self.shows:
                if output.column is column and output.aggregate and at != node.at:
                    aggregate = output.aggregate
        query.order.append(Order(node.descending, column=column, aggregate=aggregate))

    def _how_many(self, node: HowMany) -> None:
        value = 1 if node.value is None else self._value(node.value)
        if node.at is None:
            self.found.query.having.append(Having(node.operator, value))
            return
        table = self.entities.get(node.at)
        symbol = self.symbols[node.at]
        column = self.around.column(symbol, self.focus, numeric=True)
        ref = symbol.ref
        if column is not None and column.counts and ref and not (column.foreign or column.primary):
            if ref.best_column > ref.best_table or (table is None):
                self._add(Compare(column, node.operator, value))
                return
        if table is None:
            self.found.lost.append(node.at)
            return
        if self.absent is not None:
            self._close_absence()
        self.found.query.having.append(
            Having(node.operator, value, table=None if table is self.around.subject else table)
        )

    # conditions -------------------------------------------------------------------------------

    def _condition(self, node: Node) -> None:
        around, local = self.around, self.focus or self.around.subject
        match node:
            case Bound(at, operator, value, hints):
                self._bound(at, operator, value, hints)
            case Numbered(at, value):
                table = self.entities.get(at) or around.table(self.symbols[at])
                key = table.key if table is not None else None
                if key is None or not key.counts:
                    self.found.lost.append(value)
                else:
                    self._add(Compare(key, "=", self._value(value)))
            case Range(at, low, high):
                first, last = self._value(low), self._value(high)
                column = self._column(at, numeric=True) or around.dated(first, local)
                if column is None or not _measures(column):
                    column = around.dated(first, local) or around.fitting(first, local, False)
                if column is None:
                    self.found.lost += [low, high]
                else:
                    self._add(Between(column, first, last))
            case Equal():
                self._equal(node)
            case Match(at, how, text, negated):
                self._match(at, how, text, negated)
            case Missing(at, negated):
                column = self._column(at)
                if column is not None:
                    truth = truth_values(column)
                    if truth is not None:
                        self._add(Compare(column, "=", truth[0 if negated else 1]))
                    else:
                        self._add(Null(column, negated))
            case Held(at):
                self._held_by(at)
            case Flag(at, negated):
                column = next(
                    (c for c, _ in self.symbols[at].ref.columns if truth_values(c)),
                    None,  # type: ignore[union-attr]
                )
                truth = truth_values(column) if column is not None else None
                if column is not None and truth is not None:
                    self._add(Compare(column, "=", truth[1 if negated else 0]))
            case Beyond(at, operator, aggregate, of, hints):
                column = self._column(of, numeric=True) if of is not None else None
                if column is None or not column.counts:
                    column = around.hinted(hints, local) if hints else column
                if column is None or not _measures(column):
                    self.found.lost += [at] if at is not None else [0]
                    return
                left = self._column(at, numeric=True) if at is not None else column
                if left is None or not _measures(left):
                    left = column
                self._add(Compare(left, operator, Nested(aggregate, column)))
                self.beyond = self._last_compare()
            case Columns(at, operator, other):
                one = self._column(at, numeric=operator not in ("=", "<>"))
                two = self._column(other, numeric=operator not in ("=", "<>"))
                ordered = operator not in ("=", "<>")
                unlike = one is not None and two is not None and one.kind is not two.kind
                if (
                    one is None
                    or two is None
                    or one is two
                    or unlike
                    or (ordered and not _measures(one))
                ):
                    self.found.lost.append(other)
                else:
                    self._add(Compare(one, operator, two))
            case SameAs(at, value):
                column = self._column(at)
                held = around.holder(self.symbols[value], (), column.table if column else local)
                if column is None or held is None:
                    self.found.lost.append(value)
                else:
                    inner = Compare(held[0], "=", held[1])
                    self._add(Compare(column, "=", Nested(None, column, (inner,))))
                    self._add(Compare(held[0], "<>", held[1]))

    def _held_by(self, at: int) -> None:
        """Rows that another table refers to by the column that is named."""
        column, subject = self._column(at), self.around.subject
        target = next(
            (
                key.target
                for key in (
                    self.graph.keys_between(column.table, subject) if column and subject else ()
                )
                if key.column is column and key.target.table is subject
            ),
            None,
        )
        if column is None or target is None:
            self.found.lost.append(at)
            return
        self._add(Compare(target, "=", Nested(None, column)))

    def _bound(self, at: int | None, operator: str, value_at: int, hints: tuple[str, ...]) -> None:
        value, local = self._value(value_at), self.focus or self.around.subject
        column = self._column(at, numeric=True) if at is not None else None
        if (
            column is not None
            and (column.primary or column.foreign)
            and operator not in ("=", "<>")
        ):
            column = None if hints or not column.counts else column
        where = self.found.query.where
        if column is None and hints:
            column = self.around.hinted(hints, local)
        if column is None and isinstance(value, int) and value >= 1000:
            column = self.around.dated(value, self.value_table or local)
        if (
            column is None
            and self.joint == "|"
            and where
            and isinstance(where[-1], Compare | AnyOf)
        ):
            before = where[-1].conditions[0] if isinstance(where[-1], AnyOf) else where[-1]
            column = getattr(before, "column", None)
        if column is None:
            column = self.around.dated(value, self.value_table or local)
        if column is None:
            column = self._aged(value_at, self.value_table or local)
        if column is None and at is None:
            column = self.around.fitting(value, local, operator == "=")
        if column is not None and column.year_like and isinstance(value, int) and value < 1000:
            self.found.lost.append(value_at)
            return
        if column is not None and not _measures(column):
            if operator in ("=", "<>"):
                text = self.symbols[value_at].text
                if column.values and normal_text(text) not in column.values:
                    self.found.lost.append(value_at)
                self._add(Compare(column, operator, text))  # type: ignore[arg-type]
                return
            dated = self.around.dated(value, local)
            if dated is not None:
                column = dated
            elif isinstance(value, int | float) and value >= COUNT_MAX:
                self.found.lost.append(value_at)
                return
            else:
                counted = column.table
                key_table = self.entities.get(at) if at is not None else None
                self.found.query.having.append(
                    Having(operator, value, table=key_table or counted)  # type: ignore[arg-type]
                )
                return
        if column is None:
            self.found.lost.append(value_at)
            return
        self._add(Compare(column, operator, value))  # type: ignore[arg-type]

    def _aged(self, at: int, local: Table | None) -> Column | None:
        """The age, where the words beside a number say that it is one."""
        start = self.symbols[at].start
        beside = {token.lemma for token in self.tokens[max(0, start - 3) : start + 4]}
        if beside & {"old", "aged", "age", "older", "younger"}:
            return self.around.hinted(("age",), local)
        return None

    def _equal(self, node: Equal) -> None:
        local = self.focus or self.around.subject
        named = list(columns_of(self.symbols[node.at])) if node.at is not None else []
        if node.at is not None and self.symbols[node.at].ref is not None:
            ref = self.symbols[node.at].ref
            if ref is not None and ref.tables and ref.best_table >= ref.best_column:
                local = self.around.table(self.symbols[node.at]) or local
        if self.negating:
            node = replace(node, negated=True)
            self.negating = False
        conditions: list[Condition] = []
        first: Column | None = None
        for place in node.values:
            held = self._held(place, named if first is None else [first, *named], local, node.at)
            if held is None:
                self.found.lost.append(place)
                continue
            if isinstance(held, Like):
                conditions.append(held)
                continue
            column, text = held
            first = column
            if column.table is not self.around.subject:
                self.value_table = column.table
            conditions.append(Compare(column, "<>" if node.negated else "=", text))
        self._several(node, conditions)

    def _several(self, node: Equal, conditions: list[Condition]) -> None:
        compared = [c for c in conditions if isinstance(c, Compare)]
        one_column = len({id(c.column) for c in compared}) <= 1
        if len(conditions) < 2 or not one_column:
            for condition in conditions:
                self._add(self._negated(condition))
            return
        if node.negated:
            for condition in conditions:
                self._add(self._negated(condition))
        elif node.joint == "2" or (node.joint == "&" and self.around.choices.between(True)):
            self._both(compared)
        else:
            self._add(AnyOf(tuple(conditions)))

    def _both(self, conditions: Sequence[Compare]) -> None:
        """Each value holds, of other rows."""
        for condition in conditions:
            self.found.query.each.append(condition)

    def _negated(self, condition: Condition) -> Condition:
        """Not to have a cat is not to have another pet."""
        if not isinstance(condition, Compare) or condition.operator != "<>":
            return condition
        subject, table = self.around.subject, condition.column.table
        if subject is None or table is subject or self.absent is not None:
            return condition
        if self.graph.path(subject, table) and not self.graph.single(subject, table):
            equal = Compare(condition.column, "=", condition.value)
            return Linked(table, (equal,), negated=True)
        return condition

    def _held(
        self, place: int, named: Sequence[Column], local: Table | None, at: int | None
    ) -> "tuple[Column, Scalar] | Like | None":
        symbol = self.symbols[place]
        held = self.around.holder(symbol, named, local)
        if held is not None:
            return held
        column = self._column(at) if at is not None else None
        ref = symbol.ref
        if ref is not None and ref.partly:
            partly = [c for c in ref.partly if c in named] or ref.partly
            near = self.around.tables(local)
            partly = sorted(partly, key=lambda c: near.index(c.table) if c.table in near else 99)
            return Like(partly[0], f"%{_escaped(symbol.text)}%")
        if column is None and local is not None:
            column = name_of(local)
        return None if column is None or symbol.kind != "q" else (column, symbol.text)

    def _match(self, at: int | None, how: str, text_at: int, negated: bool) -> None:
        local = self.focus or self.around.subject
        column = self._column(at) if at is not None else None
        if column is not None and column.kind is not Kind.TEXT:
            column = None
        if column is None and local is not None:
            column = name_of(local)
        if column is None:
            self.found.lost.append(text_at)
            return
        symbol = self.symbols[text_at]
        text = " ".join(token.text for token in self.tokens[symbol.start : symbol.end])
        text = _escaped(text)
        pattern = {"start": f"{text}%", "end": f"%{text}"}.get(how, f"%{text}%")
        self._add(Like(column, pattern, negated))

    def _column(self, at: int | None, *, numeric: bool = False) -> Column | None:
        if at is None:
            return None
        return self.around.column(
            self.symbols[at], self.focus or self.around.subject, numeric=numeric
        )

    def _value(self, at: int) -> Scalar:
        symbol = self.symbols[at]
        text = symbol.text
        if symbol.value is None or (len(text) > 1 and text.startswith("0")):
            return text
        return symbol.value

    def _last_compare(self) -> Compare | None:
        last = self.found.query.where[-1] if self.found.query.where else None
        return last if isinstance(last, Compare) else None

    def _within(self, outer: Compare, condition: Condition) -> None:
        """A condition on what an average is taken of: older than the average Frenchman."""
        nested, where = outer.value, self.found.query.where
        assert isinstance(nested, Nested)
        inner = replace(nested, where=(*nested.where, condition))
        self.beyond = Compare(outer.column, outer.operator, inner)
        where[where.index(outer)] = self.beyond

    def _add(self, condition: Condition) -> None:
        """A condition more: `or` joins it to the one before."""
        query = self.found.query
        if (
            self.beyond is not None
            and not self.joint
            and not isinstance(condition, Ranked | Linked)
        ):
            self._within(self.beyond, condition)
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
            self._close_absence()
        if self.joint == "|" and query.where:
            before = query.where.pop()
            parts = before.conditions if isinstance(before, AnyOf) else (before,)
            query.where.append(AnyOf((*parts, condition)))
        else:
            query.where.append(condition)

    def _close_absence(self) -> None:
        if self.absent is not None:
            table, inner = self.absent
            self.absent = None
            self.found.query.where.append(Linked(table, tuple(inner), negated=True))
            self.focus = self.around.subject

    # at the end -------------------------------------------------------------------------------

    def _complete(self, nodes: Sequence[Node]) -> None:
        query, subject = self.found.query, self.around.subject
        query.subject = subject
        self._each(query)
        measured = any(output.aggregate for output in query.select) or query.computed
        ranked = any(order.aggregate for order in query.order)
        if (query.group or query.group_tables) and not (measured or query.having or ranked):
            if query.order and query.limit is not None:
                query.per = [
                    *query.group,
                    *(t.key for t in query.group_tables if t.key is not None),
                ]
            else:
                known = {id(output.column) for output in query.select}
                query.select[:0] = [
                    Output(c)
                    for c in query.group
                    if id(c) not in known and not (query.select and c.primary)
                ]
                for table in query.group_tables:
                    if not query.select:
                        query.subject = subject = table
            query.group, query.group_tables = [], []
        if measured and query.group_tables:
            have = {
                table
                for output in query.select
                if output.column and not output.aggregate
                for table in (output.column.table, *self.graph.referred(output.column))
            }
            for table in query.group_tables:
                if table not in have:
                    query.select[:0] = [Output(column) for column in shown(table)]
        if measured and query.group:
            have_columns = {output.column for output in query.select if not output.aggregate}
            query.select[:0] = [
                Output(column) for column in query.group if column not in have_columns
            ]
        self._befriended(query)
        subject = query.subject
        self._counted_groups(query)
        self._without_constants(query)
        first = next((node for node in nodes if not isinstance(node, Joint)), None)
        if not query.select and isinstance(first, Rank) and first.at is not None and query.order:
            ranked_by = query.order[0]
            if ranked_by.column is not None and not ranked_by.aggregate and not self.existing:
                query.select.append(Output(ranked_by.column))
        if not query.select and not query.computed and subject is not None:
            query.select += [Output(column) for column in self._display(subject)]
        self._exist(query)

    def _befriended(self, query: Query) -> None:
        """The friends of somebody: rows of one table that rows of another join in pairs."""
        known = [
            c for c in query.where
            if isinstance(c, Compare) and c.operator == "=" and isinstance(c.value, str)
        ]  # fmt: skip
        if len(known) != 1:
            return
        subject = known[0].column.table
        for table in self.existing:
            keys = self.graph.keys_between(table, subject)
            pairs = [key for key in keys if key.column.table is table]
            if len(pairs) < 2:
                continue
            path = self.graph.path(table, subject) or pairs
            other = next((key for key in pairs if key is not path[0]), None)
            if other is None:
                continue
            if query.subject is table:
                query.subject = self.around.subject = subject
            query.where.remove(known[0])
            query.where.append(Compare(other.target, "=", Nested(None, other.column, (known[0],))))
            self.existing = [each for each in self.existing if each is not table]
            return

    def _counted_groups(self, query: Query) -> None:
        """How many things have at least two of another: a count of things, not of their groups."""
        plain = [output for output in query.select if not output.aggregate]
        if plain or query.group or query.group_tables or not query.select or not query.having:
            return
        for having in query.having:
            if having.aggregate == "count" and having.column is None and having.table is not None:
                query.where.append(Often(having.table, having.operator, having.value))
        query.having = [h for h in query.having if h.column is not None or h.table is None]

    def _contradictions(self, query: Query) -> None:
        """Above 40 and below 30: of different rows."""
        bounds = [
            c for c in query.where if isinstance(c, Compare) and isinstance(c.value, int | float)
        ]
        held = [
            c for c in query.where
            if isinstance(c, Compare) and c.operator == "=" and not isinstance(c.value, Nested)
        ]  # fmt: skip
        for one in held:
            for other in held:
                if one.column is other.column and one.value != other.value:
                    query.where = [c for c in query.where if c is not one and c is not other]
                    query.each = [one, other]
                    return
        for low in bounds:
            for high in bounds:
                if (
                    low.column is high.column
                    and low.operator in (">", ">=")
                    and high.operator in ("<", "<=")
                    and low.value >= high.value  # type: ignore[operator]
                ):
                    query.where = [c for c in query.where if c is not low and c is not high]
                    query.each = [low, high]
                    return

    def _each(self, query: Query) -> None:
        """Conditions that hold of several rows each: students with both a cat and a dog."""
        self._contradictions(query)
        if not query.each:
            return
        subject = self.around.subject
        owner = next(
            (o.column.table for o in query.select if o.column and not o.aggregate), subject
        )
        tables = {condition.column.table for condition in query.each}
        if owner is None or owner in tables:
            base = list(query.where)
            first, *others = query.each
            query.where = [*base, first]
            query.combine = (
                "intersect",
                Query(subject=subject, select=query.select or [], where=[*base, *others[:1]]),
            )
            if not query.select and subject is not None:
                query.select += [Output(column) for column in self._display(subject)]
        else:
            query.subject = self.around.subject = owner
            query.where += [Linked(c.column.table, (c,)) for c in query.each]
        query.each = []

    def _without_constants(self, query: Query) -> None:
        """A column that is held equal to a value is not shown."""
        fixed = {c.column for c in query.where if isinstance(c, Compare) and c.operator == "="}
        kept = [
            o
            for o in query.select
            if o.aggregate or o.column not in fixed or (o.column and o.column.primary)
        ]
        if kept or not query.select:
            query.select = kept
        unique = list(dict.fromkeys(query.select))
        query.select = unique

    def _display(self, subject: Table) -> list[Column | None]:
        """What is shown where nothing is asked for by name; None for everything."""
        said = {token.lemma for token in self.tokens[:8]}
        if said & EVERYTHING:
            return [None]
        first = self.tokens[0].lemma if self.tokens else ""
        if first == "when":
            dates = [
                c
                for c in subject.columns
                if c.kind is Kind.DATE or c.year_like or {"date", "year"} & set(c.words)
            ]
            stems = {stem(token.text) for token in self.tokens}
            dates.sort(key=lambda c: -len({stem(word) for word in c.words} & stems))
            if dates:
                return [*dates[:1]]
        if first == "where":
            for place in ("location", "hometown", "city", "address", "place", "country", "state"):
                found = [c for c in subject.columns if place in c.words and not c.foreign]
                if found:
                    return [*found[:1]]
        return list(shown(subject))

    def _exist(self, query: Query) -> None:
        """Tables that are spoken of and have no part yet: their rows must exist."""
        subject = query.subject
        if subject is None or query.computed:
            return
        used = set(_tables(query)) | {subject}
        for table in self.existing:
            if table in used or not (path := self.graph.path(subject, table)):
                continue
            used.add(table)
            if len(path) == 1 and path[0].target.table is table:
                continue  # a row that refers to another has one
            if len(path) <= 2:
                query.where.append(Linked(table))


def _tables(query: Query) -> Iterator[Table]:
    for output in query.select:
        if output.column is not None:
            yield output.column.table
        if output.table is not None:
            yield output.table
    for column in query.group:
        yield column.table
    yield from query.group_tables
    for condition in query.where:
        parts = condition.conditions if isinstance(condition, AnyOf) else (condition,)
        for part in parts:
            if isinstance(part, Linked | Ranked | Often):
                yield part.table
            else:
                yield part.column.table  # type: ignore[union-attr]
    for each in (*query.having, *query.order):
        if each.column is not None:
            yield each.column.table
        if each.table is not None:
            yield each.table


def _table_place(node: Node) -> int | None:
    match node:
        case Entity(at) | Absent(at) | Share(at):
            return at
        case Count(at=at) | Group(at=at) | HowMany(at=at) | Sort(at=at) | Common(at=at):
            return at
        case Rank(at=at):
            return at
        case Bound(at=at):
            return at
        case _:
            return None


def _measures(column: Column) -> bool:
    return column.counts or column.kind is Kind.DATE


def _escaped(text: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", text)
