"""What shows rows beside each other: pairs that are alike, things with who made them, how many
rows are below each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import OWNING, role_words, root
from mcp_server.nl2sql.relations.likes import same_column
from mcp_server.nl2sql.relations.naming import Names
from mcp_server.nl2sql.relations.trees import Trees
from mcp_server.nl2sql.relations.ways import Ways
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Table
from mcp_server.nl2sql.sql.joined import identifier, named

SHOWING = frozenset({"show", "list", "give", "display", "get", "find", "which", "what", "be", "me",
                     "for", "all", "the", "return"})  # fmt: skip
EACH = frozenset({"each", "every", "all"})
BESIDE = frozenset({"with", "and", "show", "list", "give", "along", "together", "alongside", ","})
SMALL = frozenset({"the", "name", "of", "its", "their", "his", "her", "who", "that", "it", "them",
                   "person", "names"})  # fmt: skip
ONE, OTHER = "one", "other"


@dataclass(frozen=True, slots=True)
class Together:
    """Reads what a whole question asks to be shown together."""

    names: Names
    ways: Ways
    trees: Trees

    def asked(self, at: int) -> exp.Select | None:
        """The query of such a question; None for any other."""
        return (
            self._pairs(at)
            or self._mutual(at)
            or self._with_roles(at)
            or self._below(at)
            or self._per_role(at)
        )

    @property
    def _lemmas(self) -> list[str]:
        return [token.lemma for token in self.names.tokens]

    def _pairs(self, at: int) -> exp.Select | None:
        """Pairs of pilots who have the same home airport."""
        lemmas = self._lemmas
        while at < len(lemmas) and lemmas[at] in SHOWING:
            at += 1
        if lemmas[at : at + 2] != ["pair", "of"]:
            return None
        for table, end in self.names.tables(at + 2):
            place = end
            while place < len(lemmas) and lemmas[place] != "same":
                place += 1
            if place >= len(lemmas) - 1 or place - end > PAIR_WORDS or table.key is None:
                continue
            parts = self._listed(place + 1, len(lemmas))
            columns = [same_column(self.names, one, two, table) for one, two in parts]
            if not columns or None in columns:
                continue
            return self._alike(table, [each for each in columns if each is not None])
        return None

    def _alike(self, table: Table, columns: Sequence[Column]) -> exp.Select:
        assert table.key is not None
        on = [exp.EQ(this=_of(ONE, c), expression=_of(OTHER, c)) for c in columns]
        once = exp.LT(this=_of(ONE, table.key), expression=_of(OTHER, table.key))
        query = exp.select(*(_of(side, c) for side in (ONE, OTHER) for c in shown(table)))
        query = query.from_(exp.alias_(named(table), ONE, table=True))
        return query.join(exp.alias_(named(table), OTHER, table=True), on=exp.and_(*on, once))

    def _mutual(self, at: int) -> exp.Select | None:
        """Members who blocked each other."""
        lemmas = self._lemmas
        if lemmas[-2:] not in (["each", "other"], ["one", "another"]):
            return None
        while at < len(lemmas) and lemmas[at] in SHOWING:
            at += 1
        verb = root(lemmas[-3])
        for table, end in self.names.tables(at):
            if len(lemmas) - 3 - end > 2:
                continue
            for doer, done in self.ways.pairs_of(table):
                link = doer.column.table
                words = (*link.words, *doer.column.words, *done.column.words)
                if verb in {root(word) for word in words}:
                    return self._both_ways(link, doer, done)
        return None

    def _both_ways(self, link: Table, doer: ForeignKey, done: ForeignKey) -> exp.Select:
        """Each pair of rows that a link puts together in both directions, once."""
        table = doer.target.table
        first, second = "t1", "t2"
        query = exp.select(*(_of(side, c) for side in (ONE, OTHER) for c in shown(table)))
        query = query.from_(exp.alias_(named(link), first, table=True))
        back = exp.and_(
            exp.EQ(this=_of(first, doer.column), expression=_of(second, done.column)),
            exp.EQ(this=_of(first, done.column), expression=_of(second, doer.column)),
        )
        query = query.join(exp.alias_(named(link), second, table=True), on=back)
        for side, key in ((ONE, doer), (OTHER, done)):
            on = exp.EQ(this=_of(side, key.target), expression=_of(first, key.column))
            query = query.join(exp.alias_(named(table), side, table=True), on=on)
        return query.where(exp.LT(this=_of(first, doer.column), expression=_of(first, done.column)))

    def _with_roles(self, at: int) -> exp.Select | None:
        """Every employee with the name of their manager; each project, its sponsor and its lead."""
        lemmas = self._lemmas
        start = at
        while start < len(lemmas) and lemmas[start] in SHOWING - EACH:
            start += 1
        place = start
        if "of" in lemmas[start : start + 3]:
            place = lemmas.index("of", start) + 1
        if place >= len(lemmas) or lemmas[place] not in EACH:
            return None
        for table, columns, end in self._each_of(start, place):
            keys = [self._role(one, two, table) for one, two in self._listed(end, len(lemmas))]
            roles = [key for key in keys if key is not None]
            if roles and len(roles) == len(keys) and all(self._is_role(key) for key in roles):
                return self._beside(table, columns or shown(table), roles)
        return None

    def _each_of(self, start: int, place: int) -> Iterator[tuple[Table, list[Column], int]]:
        """What each row of is shown: each project; the title of each room; each fixture's date;
        every loan id. With the columns that are named, and where the words end.
        """
        lemmas = self._lemmas
        for table, end in self.names.tables(place + 1):
            if place > start:
                own = self.names.column(start, place - 1, table)
                if own is not None:
                    yield table, [own], end
            elif end < len(lemmas) and lemmas[end] == OWNING:
                for stop in range(end + 2, min(len(lemmas), end + 4)):
                    own = self.names.column(end + 1, stop, table)
                    if own is not None:
                        yield table, [own], stop
            else:
                yield table, [], end
            for stop in range(end + 1, min(len(lemmas), end + 3)):
                own = self.names.column(end, stop, table)
                if own is not None and place == start:
                    yield table, [own], stop

    def _role(self, start: int, end: int, table: Table) -> ForeignKey | None:
        lemmas = self._lemmas
        while start < end and lemmas[start] in SMALL | BESIDE:
            start += 1
        while end > start and lemmas[end - 1] in SMALL:
            end -= 1
        if start >= end:
            return None
        key = self.names.role(start, end, table)
        if key is not None or end - start > 1:
            return key
        verb = root(lemmas[start])
        found = [
            k for k in self.names.graph.keys_of(table)
            if verb in {root(word) for word in role_words(k.column, k.target.table)}
        ]  # fmt: skip
        return found[0] if len(found) == 1 else None

    def _is_role(self, key: ForeignKey) -> bool:
        """Whether a key says more of a row than which table it is in."""
        return bool(role_words(key.column, key.target.table)) and not key.beside

    def _beside(
        self, table: Table, columns: Sequence[Column], keys: Sequence[ForeignKey]
    ) -> exp.Select:
        outputs: list[exp.Expr] = [_of("t", column) for column in columns]
        query = exp.select().from_(exp.alias_(named(table), "t", table=True))
        for number, key in enumerate(keys, start=1):
            alias = f"t{number}"
            for column in shown(key.target.table):
                name = identifier("_".join(role_words(key.column, key.target.table)))
                outputs.append(exp.alias_(_of(alias, column), name))
            on = exp.EQ(this=_of(alias, key.target), expression=_of("t", key.column))
            source = exp.alias_(named(key.target.table), alias, table=True)
            query = query.join(source, on=on, join_type="LEFT")
        return query.select(*outputs)

    def _below(self, at: int) -> exp.Select | None:
        """How many direct reports each manager has; the number of subcategories per category."""
        lemmas = self._lemmas
        if lemmas[at : at + 2] == ["how", "many"]:
            start, ends = at + 2, {"do"}
        else:
            while at < len(lemmas) and lemmas[at] in SHOWING:
                at += 1
            if lemmas[at : at + 2] != ["number", "of"]:
                return None
            start, ends = at + 2, {"per", "of", "for", "by"}
        for end in range(start + 1, min(len(lemmas) - 1, start + 4)):
            if lemmas[end] not in ends:
                continue
            place = end + (lemmas[end] != "per" and lemmas[end] != "by")
            if place > end and lemmas[place] not in ("each", "every"):
                return None
            last = len(lemmas) - (lemmas[-1] in ("have", "get", "receive"))
            return self._counted(lemmas[start:end], place + 1, last)
        return None

    def _per_role(self, at: int) -> exp.Select | None:
        """Bookings per country of origin; the number of flights per destination city; posts per
        city of the author.
        """
        lemmas = self._lemmas
        while at < len(lemmas) and lemmas[at] in SHOWING:
            at += 1
        at += 2 * (lemmas[at : at + 2] in (["number", "of"], ["count", "of"]))
        for first in (at + 1, at + 2):
            said = tuple(lemmas[at:first])
            for table, end in self.names.tables(first):
                if lemmas[end : end + 1] not in (["per"], ["by"]):
                    continue
                others = [t for t, stop in self.names.tables(end + 1) if stop == len(lemmas)]
                keys = [
                    key for key in self.names.graph.keys_of(table)
                    if key.target.table in others
                    and role_words(key.column, key.target.table) == said
                ]  # fmt: skip
                if len(keys) == 1:
                    return self._grouped(table, keys, shown(others[0]), None)
        for table, end, measure in self._measures(at):
            if lemmas[end : end + 1] not in (["per"], ["by"]):
                continue
            start, stop = end + 1, len(lemmas)
            for cut in range(start + 1, stop):
                if lemmas[cut] == "of":
                    first = cut + 1 + (lemmas[cut + 1 : cut + 2] == ["the"])
                    role, what = (first, stop), (start, cut)
                else:
                    role, what = (start, cut), (cut, stop)
                found = self._by_role(table, role, what, measure)
                if found is not None:
                    return found
        return None

    def _by_role(
        self, table: Table, role: tuple[int, int], what: tuple[int, int], measure: Column | None
    ) -> exp.Select | None:
        """Rows counted by what the row has that a role names, over one more key if need be."""
        words = self.names.lemmas(*role)
        ways: list[tuple[list[ForeignKey], ForeignKey]] = [
            ([], key) for key in self.names.graph.keys_of(table)
            if role_words(key.column, key.target.table) == words
        ] or [
            ([first], key)
            for first in self.names.graph.keys_of(table)
            if first.target.table is not table
            for key in self.names.graph.keys_of(first.target.table)
            if role_words(key.column, key.target.table) == words
        ]  # fmt: skip
        if len(ways) != 1 or ways[0][1].beside:
            return None
        before, key = ways[0]
        column = self.names.column(*what, key.target.table)
        further = self.names.role(*what, key.target.table) if column is None else None
        if further is not None:
            return self._grouped(
                table, [*before, key, further], shown(further.target.table), measure
            )
        if column is None:
            return None
        return self._grouped(table, [*before, key], [column], measure)

    def _measures(self, at: int) -> Iterator[tuple[Table, int, Column | None]]:
        """What is counted or added up: bookings; loan amount."""
        for table, end in self.names.tables(at):
            yield table, end, None
            for stop in range(end + 1, min(len(self.names.tokens), end + 3)):
                column = self.names.column(end, stop, table)
                if column is not None and column.adds_up:
                    yield table, stop, column

    def _grouped(
        self,
        table: Table,
        keys: Sequence[ForeignKey],
        columns: Sequence[Column],
        measure: Column | None,
    ) -> exp.Select:
        """Rows counted, or a column of theirs added up, by columns of the last row referred to."""
        count: exp.Expr = exp.Count(this=exp.Star())
        if measure is not None:
            count = exp.Sum(this=_of("t0", measure))
        last = f"t{len(keys)}"
        by = [_of(last, column) for column in columns]
        query = exp.select(*by, count).from_(exp.alias_(named(table), "t0", table=True))
        for number, key in enumerate(keys, start=1):
            on = [
                exp.EQ(this=_of(f"t{number}", there), expression=_of(f"t{number - 1}", here))
                for here, there in key.pairs
            ]
            source = exp.alias_(named(key.target.table), f"t{number}", table=True)
            query = query.join(source, on=exp.and_(*on))
        return query.group_by(*(column.copy() for column in by))

    def _counted(self, noun: Sequence[str], start: int, end: int) -> exp.Select | None:
        for table in self.names.graph.tables:
            step = self.trees.is_below(noun, table) if self.trees.keys(table) else None
            if step is None:
                continue
            role = role_words(step.here[0], table)
            whole = any(t is table and stop == end for t, stop in self.names.tables(start))
            if not whole and self.names.lemmas(start, end) != role:
                continue
            columns = [_of(ONE, column) for column in shown(table)]
            key = _of(ONE, step.there[0])
            query = exp.select(*columns, exp.Count(this=exp.Star()))
            query = query.from_(exp.alias_(named(table), ONE, table=True))
            on = exp.EQ(this=_of(OTHER, step.here[0]), expression=key)
            query = query.join(exp.alias_(named(table), OTHER, table=True), on=on)
            return query.group_by(key.copy(), *(column.copy() for column in columns))
        return None

    def _listed(self, start: int, end: int) -> list[tuple[int, int]]:
        """The spans between commas and `and`."""
        lemmas = self._lemmas
        found, begun = [], start
        for place in range(start, end + 1):
            if place == end or lemmas[place] in ("and", ","):
                if place > begun and set(lemmas[begun:place]) - (SMALL | BESIDE):
                    found.append((begun, place))
                begun = place + 1
        return found


PAIR_WORDS = 6


def _of(alias: str, column: Column) -> exp.Column:
    return exp.column(identifier(column.name), table=identifier(alias))
