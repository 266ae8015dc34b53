"""Ways from the rows of one table to those of another, and to other rows of its own, as SQL.

A way is taken only where the question leaves no other: where several keys lead there, its words
must say which.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import NUMBERED, SMALL, role_words, root
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Table
from mcp_server.nl2sql.sql.joined import identifier, named
from mcp_server.nl2sql.words.tokens import Token, tokenize
from mcp_server.nl2sql.words.ways import way_of

WHOLES = frozenset(
    {"assembly", "parent", "whole", "kit", "bundle", "container", "composite", "outer", "product",
     "package", "recipe", "build"}
)  # fmt: skip
"""Words of keys to what other rows are parts of."""
TARGETS = frozenset(
    {"to", "target", "recipient", "receiver", "destination", "dest", "object", "child", "loser"}
)
DOERS = frozenset({"from", "sender", "source", "src", "origin", "subject", "winner"})
CONTAINING = frozenset({root(w) for w in ("contain", "include", "have", "need", "comprise")})


@dataclass(frozen=True, slots=True)
class Step:
    """From a row to those of `other` of which `there` holds what `here` does."""

    here: tuple[Column, ...]
    there: tuple[Column, ...]

    @property
    def other(self) -> Table:
        """The table that the step leads to."""
        return self.there[0].table

    @property
    def back(self) -> "Step":
        """The same step from the other side."""
        return Step(self.there, self.here)


@dataclass(frozen=True, slots=True)
class Way:
    """Steps from one table to another. said: whether words of the question name it."""

    steps: tuple[Step, ...]
    said: bool = False

    @property
    def back(self) -> "Way":
        """The same way from its end."""
        return Way(tuple(step.back for step in reversed(self.steps)), self.said)

    def to(self, where: Sequence[exp.Expr], *, negated: bool = False) -> exp.Expr:
        """The condition that a row at the beginning has rows at the end that meet others."""
        first, *rest = self.steps
        inner = [Way(tuple(rest)).to(where)] if rest else list(where)
        query = selected(first.other, first.there, inner)
        if negated:
            for column in first.there:
                held = exp.Is(this=sql_column(column), expression=exp.Null())
                query = query.where(exp.Not(this=held))
        own = [sql_column(column) for column in first.here]
        left = own[0] if len(own) == 1 else exp.Tuple(expressions=own)
        test = exp.In(this=left, query=query.subquery())
        if not negated:
            return test
        if not first.here[0].foreign or len(own) > 1:
            return exp.Not(this=test)
        refers_to_none = exp.Is(this=own[0].copy(), expression=exp.Null())
        if len(self.steps) == 1 and not where:
            return refers_to_none
        return exp.paren(exp.or_(refers_to_none, exp.Not(this=test)))


def sql_column(column: Column) -> exp.Column:
    """A column of the only table of a SELECT."""
    return exp.column(identifier(column.name))


def selected(table: Table, columns: Sequence[Column], where: Sequence[exp.Expr] = ()) -> exp.Select:
    """Columns of the rows of a table that meet conditions."""
    query = exp.select(*(sql_column(column) for column in columns)).from_(named(table))
    for condition in where:
        query = query.where(condition.copy())
    return query


def joined_column(column: Column, number: int) -> exp.Column:
    """A column of one of several tables of a SELECT."""
    return exp.column(identifier(column.name), table=identifier(f"t{number + 1}"))


def joined_table(table: Table, number: int) -> exp.Expr:
    """One of several tables of a SELECT, by its alias."""
    return exp.alias_(named(table), f"t{number + 1}", table=True)


def up(key: ForeignKey) -> Step:
    """From a row to the one that it refers to."""
    return Step(tuple(one for one, _ in key.pairs), tuple(other for _, other in key.pairs))


def own_keys(graph: JoinGraph, table: Table) -> list[ForeignKey]:
    """The keys of a table that refer to rows of its own."""
    return [key for key in graph.keys_of(table) if key.target.table is table]


@dataclass(frozen=True, slots=True)
class Ways:
    """Finds ways between tables, as the words of a question have them."""

    graph: JoinGraph

    def between(self, one: Table, other: Table, words: Sequence[Token]) -> Way | None:
        """The way from rows of one table to rows of another; None where it is not clear which.

        words: what stands between the two in the question, a verb and small words.
        """
        if one is other:
            return self._within(one, words)
        direct = [Way((step,)) for step in self._direct(one, other)]
        bridged = [Way(pair) for pair in self._bridged(one, other)]
        named = [way for way in (*direct, *bridged) if self._heard(way, words)]
        if len(named) == 1:
            return Way(named[0].steps, said=True)
        if named:
            return _one_way(named, words)
        through = self._through(one, other, words)
        if through is not None:
            return through
        for ways in (direct, bridged):  # the one key without a role of its own, if there is one
            plain = [way for way in ways if not _has_role(way)]
            if len(plain) == 1:
                return plain[0]
        if direct or bridged:
            ways = direct or bridged
            return ways[0] if len(ways) == 1 else _one_way(ways, words)
        return self._long(one, other, words)

    def is_detour(self, way: Way) -> bool:
        """Whether words name a way that is not the shortest: no join by itself takes it."""
        ends = way.steps[0].here[0].table, way.steps[-1].other
        return way.said and len(self.graph.path(*ends) or way.steps) < len(way.steps)

    def _direct(self, one: Table, other: Table) -> Iterator[Step]:
        for key in dict.fromkeys(self.graph.keys_between(one, other)):
            yield up(key) if key.column.table is one else up(key).back

    def _bridged(self, one: Table, other: Table) -> Iterator[tuple[Step, Step]]:
        for key in self.graph.keys_to(one):
            bridge = key.column.table
            if bridge is other or bridge.view:
                continue
            for next_ in self.graph.keys_of(bridge):
                if next_.target.table is other:
                    yield up(key).back, up(next_)

    def _keys(self, one: Table, other: Table) -> list[ForeignKey]:
        return list(dict.fromkeys(self.graph.keys_between(one, other)))

    def _through(self, one: Table, other: Table, words: Sequence[Token]) -> Way | None:
        """The way by the one table that a verb names: customers who *ordered* a book."""
        said = {token.lemma for token in words if token.lemma not in SMALL}
        named = [
            table
            for table in self.graph.tables
            if table is not one and table is not other and not table.view
            and len(table.words) == 1 and any(_names(word, table.words[0]) for word in said)
        ]  # fmt: skip
        if len(named) != 1:
            return None
        start = self.graph.path(one, named[0], without=other)
        end = self.graph.path(named[0], other, without=one)
        if not start or not end or set(start) & set(end):
            return None
        way = self._along(one, [*start, *end], words)
        return None if way is None else Way(way.steps, said=True)

    def _long(self, one: Table, other: Table, words: Sequence[Token]) -> Way | None:
        """The shortest way, where no two keys join the same tables on it."""
        path = self.graph.path(one, other)
        return self._along(one, path, words) if path else None

    def _along(self, one: Table, path: Sequence[ForeignKey], words: Sequence[Token]) -> Way | None:
        """The way along keys; none where two keys join the same tables, or where it is too long."""
        if len(path) > LONGEST:
            return None
        steps: list[Step] = []
        here, said = one, False
        for key in path:
            step = up(key) if key.column.table is here else up(key).back
            rivals = self._keys(here, step.other)
            if len(rivals) > 1:
                ways = [Way((each,)) for each in self._direct(here, step.other)]
                told = _one_way(ways, words)
                plain = [way for way in ways if not _has_role(way)]
                if told is None and len(plain) != 1:
                    return None
                step, said = (told or plain[0]).steps[0], told is not None
            steps.append(step)
            here = step.other
        return Way(tuple(steps), said)

    def _heard(self, way: Way, words: Sequence[Token]) -> bool:
        """Whether words name the roles or the table that a way leads through."""
        said = {root(token.lemma) for token in words if token.lemma not in SMALL}
        own: set[str] = set()
        for step in way.steps:
            for column, target in ((step.here[0], step.other), (step.there[0], step.here[0].table)):
                if column.foreign or not column.primary:
                    own |= {root(word) for word in role_words(column, target)}
        if len(way.steps) == 2:
            own |= {root(word) for word in way.steps[0].other.words}
        return bool(said & own)

    def _within(self, table: Table, words: Sequence[Token]) -> Way | None:
        """The way from rows of a table to others of it that a verb names."""
        said = {root(token.lemma) for token in words if token.lemma not in SMALL}
        passive = any(token.lemma == "by" for token in words)
        found: list[Way] = []
        for key in own_keys(self.graph, table):
            if said & {root(word) for word in role_words(key.column, table)} or (
                said & {root("report"), root("work")} and _superior(key)
            ):
                upwards = (
                    passive
                    or key.column.words[-1:] == ("to",)
                    or bool(said & {root("report"), root("work")})
                )
                step = up(key) if upwards else up(key).back
                found.append(Way((step,), said=True))
        for doer, done in self.pairs_of(table):
            link = doer.column.table
            names = {root(w) for w in (*link.words, *doer.column.words, *done.column.words)}
            containing = bool(said & CONTAINING) or any(t.lemma == "of" for t in words[-1:])
            contained = _whole(doer) and bool(said & (CONTAINING | PARTS) or containing)
            if said & names or contained:
                told = {root(w) for w in role_words(done.column, table)}
                swap = passive or (bool(said & told) and words[-1].lemma == "of")
                if _whole(doer):
                    swap = not containing or passive
                steps = (up(done).back, up(doer)) if swap else (up(doer).back, up(done))
                found.append(Way(steps, said=True))
        return found[0] if len(found) == 1 else None

    def pairs_of(self, table: Table) -> Iterator[tuple[ForeignKey, ForeignKey]]:
        """Tables that put two rows of a table together: who does it, and to whom it is done."""
        for link in dict.fromkeys(key.column.table for key in self.graph.keys_to(table)):
            keys = [key for key in self.graph.keys_of(link) if key.target.table is table]
            if link.view or len(keys) != 2:
                continue
            keys.sort(key=lambda key: link.columns.index(key.column))
            one, other = keys
            yield (other, one) if _does(other) > _does(one) else (one, other)


LONGEST = 3
ALIKE_LETTERS = 6


def _names(verb: str, table: str) -> bool:
    """Whether a verb is what rows of a table are: a purchase. Clubs *play*, and are no players."""
    doers = table.endswith(("er", "or"))
    return verb == table if doers else _made_of(root(verb), root(table))


def _made_of(verb: str, noun: str) -> bool:
    """Whether the roots of a verb and a noun are of one word: `prescribe` and `prescription`."""
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(verb, noun, strict=False))
    same = sum(1 for _ in pairs)
    return verb == noun or (same >= ALIKE_LETTERS and 2 * same > len(noun))


PARTS = frozenset(
    {root(w) for w in ("use", "go", "belong", "part", "make", "in", "contained", "find")}
)


def _superior(key: ForeignKey) -> bool:
    return bool({root(w) for w in key.column.words} & SUPERIOR)


SUPERIOR = frozenset(
    root(w) for w in ("manager", "supervisor", "boss", "report", "superior", "lead", "chief")
)


def _whole(key: ForeignKey) -> bool:
    return bool(WHOLES & set(key.column.words))


GETTING = frozenset({root(w) for w in ("receive", "get")})
GIVING = frozenset({root(w) for w in ("make", "send", "give")})


def _does(key: ForeignKey) -> int:
    """How much the name of a key says that its row does something: more for `blocker`."""
    return _does_as(key.column)


def _does_as(column: Column) -> int:
    words = set(column.words)
    last = [w for w in column.words if w not in NUMBERED][:1]
    doing = bool(words & (DOERS | WHOLES)) or any(w.endswith(("er", "or")) for w in last)
    done = bool(words & TARGETS) or any(w.endswith(("ed", "ee")) for w in last)
    return doing - done


def _has_role(way: Way) -> bool:
    """Whether a key on a way has a name of its own, besides that of the table it refers to."""
    for step in way.steps:
        for column, target in ((step.here[0], step.other), (step.there[0], step.here[0].table)):
            if column.foreign and role_words(column, target):
                return True
    return False


def _does_all(step: Step) -> int:
    column = step.here[0] if step.here[0].foreign else step.there[0]
    return _does_as(column)


def _one_way(ways: Sequence[Way], words: Sequence[Token]) -> Way | None:
    """Of several ways the one that goes where the words do: from, or to."""

    if any(token.lemma == "out" for token in words):
        words = [*words, *tokenize("from")]  # out of Oslo

    def told(way: Way) -> int:
        columns = [c for step in way.steps for c in (*step.here, *step.there) if c.foreign]
        return max((way_of(column.name, words) for column in columns), default=0)

    best = [way for way in ways if told(way) > 0]
    said = {root(token.lemma) for token in words}
    for verbs, sign in ((GETTING, -1), (GIVING, 1)):
        if not best and said & verbs:
            best = [way for way in ways if max(sign * _does_all(step) for step in way.steps) > 0]
    return Way(best[0].steps, said=True) if len(best) == 1 else None
