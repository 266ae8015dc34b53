"""Noun phrases with clauses in them, read from left to right: all words count, or it is none.

    rivers | that run through states | that border the state | with the largest population

Each clause is a condition on the rows that the noun before it names (`ways.py`); conditions hold
further phrases, to any depth.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import OWNING, role_words
from mcp_server.nl2sql.relations.likes import Likes
from mcp_server.nl2sql.relations.naming import (
    ARTICLES,
    Names,
    called,
    equal,
    measure_beside,
    thing_of,
)
from mcp_server.nl2sql.relations.rows import Read, Rows
from mcp_server.nl2sql.relations.trees import Trees
from mcp_server.nl2sql.relations.ways import (
    Way,
    Ways,
    joined_column,
    joined_table,
    selected,
    sql_column,
    up,
)
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.words.lexicon import COMPARATIVES, LIMITING, RELATING, STOP
from mcp_server.nl2sql.words.tokens import Mark

PRONOUNS = frozenset({"that", "which", "who", "whom"})
PREPOSITIONS = frozenset(
    {"through", "in", "into", "of", "from", "at", "on", "with", "by", "to", "for", "under", "over",
     "within", "out", "up", "off", "onto", "inside", "across", "along"}
)  # fmt: skip
DENYING = frozenset({"not", "never", "no", "without"})
APPEARING = frozenset({"appear", "appears", "serve", "serves", "occur", "used", "act", "listed"})
AUXILIARY = frozenset({"do", "be", "have", "can", "could", "will", "would", "ever", "also", "all"})
APART = frozenset(
    {"and", "or", "but", "than", "more", "less", "fewer", "most", "least", "each", "every", "per",
     "how", "many", "much", "average", "total", "number", "both", "either", "same", "only", "if",
     "when", "where", "why", "before", "after", "since", "until", "between", "except", "besides",
     "top", "sum", "count", "first", "last", "any", "fewest", "called", "named", OWNING,
     *COMPARATIVES}
)  # fmt: skip
"""Words that say more than that things belong together."""
VERB_WORDS = 5
UNKNOWN = 0.8
"""What an unknown verb leaves of the certainty of a phrase."""
OWNERSHIP = frozenset({"with", "have", "contain", "contains", "of"})
OPEN = 0.6
"""As KIND, where several tables have such rows."""
KIND = 0.95
"""How surely a value means the rows that have it, where none is called so: Oslo, of airports."""
DEPTH_MAX = 5
TRIED_MAX = 800


@dataclass(frozen=True, slots=True)
class Phrases:
    """Reads the phrases of one question."""

    names: Names
    ways: Ways
    trees: Trees
    likes: Likes
    tried: list[int] = field(default_factory=lambda: [0])
    """How many phrases were begun: long questions have more ways than anybody waits for."""

    def nouns(self, at: int, depth: int = 0) -> Iterator[Read]:
        """Rows that the words from a place on name, with all the clauses that follow."""
        for rows, end in self._with_owned(self.bare(at, depth), depth):
            if rows.named:
                yield rows, end  # whoever is called so needs nothing else said
            else:
                yield from self.clauses(rows, end, depth)

    def bare(self, at: int, depth: int = 0) -> Iterator[Read]:
        """Rows without a clause behind them."""
        self.tried[0] += 1
        if depth > DEPTH_MAX or self.tried[0] > TRIED_MAX:
            return
        while at < len(self.names.tokens) and self.names.tokens[at].lemma in ARTICLES:
            at += 1
        if at >= len(self.names.tokens):
            return
        yield from self._first_of(at, depth)
        yield from self._referred(at, depth)
        yield from self._answering(at, depth)
        for table, end in self.names.tables(at):
            for column, text, stop in self.names.rows(self._past(end, {"of", "named", "called"})):
                if column.table is table and called(column):
                    yield Rows(table, (equal(column, text),), named=True), stop
            yield Rows(table), end
        yield from self._values(at)

    def _answering(self, at: int, depth: int) -> Iterator[Read]:
        """Replies, which are posts to posts; replies to replies."""
        lemmas = self.names.lemmas(at, at + 1)
        for table in self.names.graph.tables:
            step = self.trees.is_below(lemmas, table) if self.trees.keys(table) else None
            if step is None:
                continue
            held = exp.Not(this=exp.Is(this=sql_column(step.here[0]), expression=exp.Null()))
            if self._is(at + 1, {"to", "of", "under"}):
                for other, stop in self.nouns(at + 2, depth + 1):
                    if other.table is table:
                        condition = Way((step,)).to(other.where) if other.where else held
                        yield Rows(table).also(condition, of=other).specially(), stop
            yield Rows(table, (held,), special=True), at + 1

    def _values(self, at: int) -> Iterator[Read]:
        found = list(self.names.rows(at))
        holding = defaultdict[int, set[Table]](set)
        for column, _, end in found:
            holding[end].add(column.table)
        behind = {end: list(self.names.tables(end)) for end in holding}
        for column, text, end in found:
            for table, stop in behind[end]:
                if column.table is table:
                    yield Rows(table, (equal(column, text),), named=True), stop
            if column.foreign:
                continue
            sure = 1.0 if called(column) else KIND if len(holding[end]) == 1 else OPEN
            yield Rows(column.table, (equal(column, text),), sure=sure, named=True), end

    def _first_of(self, at: int, depth: int) -> Iterator[Read]:
        """The largest city in Texas: of the rows with their clauses, those with the most."""
        found = self.names.superlative(at)
        if found is None:
            return
        hints, descending, start = found
        for table, end in self.names.tables(start):
            measure = self.names.measure(table, hints)
            if measure is None:
                continue
            for rows, stop in self.clauses(Rows(table), end, depth):
                yield rows.also(self.extreme(rows, measure, descending=descending)), stop

    def extreme(self, rows: Rows, measure: Column, *, descending: bool) -> exp.Expr:
        """The condition that a measure is the most, or least, of all such rows."""
        kind = exp.Max if descending else exp.Min
        query = selected(rows.table, (), rows.where)
        query = query.select(kind(this=sql_column(measure)))
        return exp.EQ(this=sql_column(measure), expression=query.subquery())

    def _referred(self, at: int, depth: int) -> Iterator[Read]:
        """The manager of Ann, the head of the unit Storage, the grandparent of a category."""
        tokens = self.names.tokens
        for end in range(min(len(tokens) - 1, at + 3), at, -1):
            if tokens[end].lemma != "of":
                continue
            for rows, stop in self.nouns(end + 1, depth + 1):
                yield from self._role(at, end, rows, stop)

    def _with_owned(self, found: Iterator[Read], depth: int) -> Iterator[Read]:
        """What is before a possessive ending, and what that has: Ann's manager's mentor."""
        for rows, end in found:
            yield rows, end
            if end < len(self.names.tokens) and self.names.tokens[end].text == OWNING:
                for stop in range(min(len(self.names.tokens), end + 4), end + 1, -1):
                    owned = self._role(end + 1, stop, rows, stop)
                    yield from self._with_owned(owned, depth)

    def _role(self, start: int, end: int, rows: Rows, stop: int) -> Iterator[Read]:
        special = self.trees.relatives(self.names.lemmas(start, end), rows.table)
        if special is not None:
            found = Rows(rows.table).also(special(rows.where), of=rows)
            yield found.specially(), stop
            return
        key = self.names.role(start, end, rows.table)
        if key is not None and rows.where:
            way = Way((up(key).back,))
            target = Rows(key.target.table).also(way.to(rows.where), of=rows)
            yield target.specially() if rows.relations else target, stop

    def clauses(self, rows: Rows, at: int, depth: int) -> Iterator[Read]:
        """The rows with the clauses behind them, as many as there are."""
        if depth > DEPTH_MAX:
            return
        for found, end in self._clause(rows, at, depth):
            after = self._past(end, {"and", ","})
            yield from self.clauses(found, after if after > end and depth == 0 else end, depth)
        yield rows, at

    def _clause(self, rows: Rows, at: int, depth: int) -> Iterator[Read]:
        tokens = self.names.tokens
        start = self._past(at, {","})
        if start >= len(tokens):
            return
        for found, end in self.trees.clause(rows.table, start, self.names, self.nouns):
            yield rows.also(*found.where, of=found), end
        pronoun = tokens[start].lemma in PRONOUNS
        if pronoun:
            yield from self.object_of(rows, start + 1, depth)
            start += 1
        elif tokens[start].lemma in PREPOSITIONS and self._is(start + 1, {"which", "whom"}):
            yield from self.object_of(rows, start + 2, depth)
        yield from self.likes.clause(rows, start, self.names, self.nouns)
        yield from self._is_also(rows, start, depth)
        yield from self._as_role(rows, start)
        yield from self._nobody(rows, start)
        yield from self._most(rows, start, depth)
        yield from self._held(rows, start)
        yield from self._subject(rows, start, depth)

    def _subject(self, rows: Rows, at: int, depth: int) -> Iterator[Read]:
        """That run through Texas, in states, without orders, who know both Python and SQL."""
        tokens = self.names.tokens
        for end in range(at + 1, min(len(tokens), at + VERB_WORDS) + 1):
            verb = tokens[at:end]
            sure = _relates(self.names, at, end, rows.table)
            if sure is None:
                continue
            denied = any(token.lemma in DENYING for token in verb)
            for column, text, stop in self.names.rows(self._past(end, {"the"})):
                if column.table is rows.table and not called(column) and not denied:
                    yield rows.also(equal(column, text), sure=sure), stop
            both = self._is(end, {"both"})
            for other, stop in self.nouns(end + both, depth + 1):
                way = self.ways.between(rows.table, other.table, verb)
                if way is None:
                    continue
                if not (other.where or denied or way.said):
                    continue
                known = 1.0 if way.said else sure
                condition = self._denied(rows, way, other.where) if denied else way.to(other.where)
                if way.said and other.named:
                    other = replace(other, sure=1.0)
                found = rows.also(condition, of=other, sure=known)
                # of several keys the one that the verb speaks of; of all rows of a thing
                told = denied and (way.said or thing_of(rows.table) is not None)
                told = told or self.ways.is_detour(way) or rows.table is other.table
                if told or self._same_again(rows.table, at, end):
                    found = found.specially()
                if not both:
                    yield found, stop
                yield from self._another(found, way, stop, depth, both=both)

    def _same_again(self, table: Table, start: int, end: int) -> bool:
        """Whether a clause calls its rows what they are: members who are *members* of a room."""
        return any(t is table for place in range(start, end) for t, _ in self.names.tables(place))

    def _is_also(self, rows: Rows, at: int, depth: int) -> Iterator[Read]:
        """Posts that are replies, employees who are the manager of somebody."""
        denied = self._is(at + 1, {"not"})
        if not self._is(at, {"be"}):
            return
        for other, stop in self.nouns(at + 1 + denied, depth + 1):
            if other.table is rows.table and other.special and other.where:
                both = exp.and_(*(each.copy() for each in other.where))
                condition = exp.Not(this=exp.paren(both)) if denied else both
                yield rows.also(condition, of=other), stop

    def _nobody(self, rows: Rows, at: int) -> Iterator[Read]:
        """Skills nobody has, rooms that no one joined."""
        tokens = self.names.tokens
        start = at + 1 if self._is(at, {"nobody"}) else at + 2
        if not self._is(at, {"nobody"}) and [t.lemma for t in tokens[at:start]] != ["no", "one"]:
            return
        for people in self.names.people():
            for end in range(start + 1, min(len(tokens), start + VERB_WORDS) + 1):
                sure = _relates(self.names, start, end)
                if sure is None:
                    return
                way = self.ways.between(people, rows.table, tokens[start:end])
                if way is not None:
                    condition = self._denied(rows, way.back, ())
                    yield rows.also(condition, sure=1.0 if way.said else sure), end

    def _as_role(self, rows: Rows, at: int) -> Iterator[Read]:
        """That never appear as a destination: rows that no other refers to by that key."""
        tokens = self.names.tokens
        place = at
        while place < len(tokens) and tokens[place].lemma in (*DENYING, *AUXILIARY, *APPEARING):
            place += 1
        if place == at or not self._is(place, {"as"}):
            return
        denied = any(token.lemma in DENYING for token in tokens[at:place])
        start = self._past(place + 1, {"a", "an", "the", "any"})
        for stop in range(min(len(tokens), start + 3), start, -1):
            graph = self.names.graph
            keys = [
                key
                for key in (*graph.keys_to(rows.table), *graph.keys_of(rows.table))
                if key.target.table is rows.table
                and role_words(key.column, rows.table) == self.names.lemmas(start, stop)
            ]
            if len(keys) == 1:
                condition = Way((up(keys[0]).back,)).to([], negated=denied)
                yield rows.also(condition).specially(), stop

    def _another(self, rows: Rows, way: Way, at: int, depth: int, *, both: bool) -> Iterator[Read]:
        """Both this and that; this but not that."""
        denied = self._is(at, {"but"}) and self._is(at + 1, {"not"})
        if depth > 0 or not (denied or (both and self._is(at, {"and"}))):
            return  # within a clause it may be of what is before it: books in A and books in B
        start = self._past(at + 1 + denied, PREPOSITIONS)
        for other, stop in self.nouns(start, depth + 1):
            if other.table is way.steps[-1].other:
                condition = self._denied(rows, way, other.where) if denied else way.to(other.where)
                found = rows.also(condition, of=other)
                yield found.specially(), stop

    def _denied(self, rows: Rows, way: Way, where: Sequence[exp.Expr]) -> exp.Expr:
        """What is denied of a thing is so of all the rows that are of it."""
        thing = thing_of(rows.table)
        if thing is None:
            return way.to(where, negated=True)
        having = selected(rows.table, (thing,), [way.to(where)])
        return exp.Not(this=exp.In(this=sql_column(thing), query=having.subquery()))

    def object_of(self, rows: Rows, at: int, depth: int = 0) -> Iterator[Read]:
        """States that the Ohio runs through; members that Ann invited."""
        tokens = self.names.tokens
        for other, start in self._with_owned(self.bare(at, depth + 1), depth + 1):
            for end in range(start + 1, min(len(tokens), start + VERB_WORDS) + 1):
                sure = _relates(self.names, start, end)
                if sure is None or any(t.lemma in DENYING for t in tokens[start:end]):
                    break
                verb = tokens[start:end]
                way = self.ways.between(other.table, rows.table, verb)
                if way is None:
                    continue
                known = 1.0 if way.said else sure
                yield rows.also(way.back.to(other.where), of=other, sure=known), end

    def _most(self, rows: Rows, at: int, depth: int) -> Iterator[Read]:
        """With the most cities, that borders the most states, with the largest population."""
        tokens = self.names.tokens
        for end in range(at, min(len(tokens), at + VERB_WORDS)):
            if end > at and _relates(self.names, at, end) is None:
                return
            place = self._past(end, {"the"})
            if end == at:
                continue
            if self._is(place, {"most"}):
                for table, stop in self.names.tables(place + 1):
                    way = self.ways.between(rows.table, table, tokens[at:end])
                    thing = thing_of(rows.table)
                    often = None if way is None else _often(way, thing)
                    if way is not None and often is not None:
                        found = rows.also(often, sure=1.0 if way.said else UNKNOWN)
                        yield found.specially() if way.said else found, stop
            adjective = self.names.superlative(place)
            if adjective is None or tokens[end - 1].lemma not in OWNERSHIP:
                continue
            _, descending, start = adjective
            yield from self._with_extreme(rows, place, depth, descending=descending)
            for stop in range(min(len(tokens), start + 3), start, -1):
                column = self.names.column(start, stop, rows.table)
                if column is None or not column.counts or column.foreign:
                    continue
                for all_, last in self.clauses(rows, stop, depth):
                    yield all_.also(self.extreme(all_, column, descending=descending)), last

    def _with_extreme(self, rows: Rows, at: int, depth: int, *, descending: bool) -> Iterator[Read]:
        """With the highest point, where columns of extremes are called so."""
        for stop in range(min(len(self.names.tokens), at + 4), at + 1, -1):
            for table in self.names.graph.tables:
                column = None if table.view else self.names.column(at, stop, table)
                measure = column and measure_beside(column)
                if measure is None:
                    continue
                way = self.ways.between(rows.table, table, ()) if table is not rows.table else None
                if table is not rows.table and way is None:
                    continue
                for all_, last in self.clauses(rows, stop, depth):
                    theirs = Rows(table, all_.where)
                    if way is not None and all_.where:
                        theirs = Rows(table, (way.back.to(all_.where),))
                    elif way is not None:
                        theirs = Rows(table)
                    extreme = self.extreme(theirs, measure, descending=descending)
                    yield all_.also(extreme if way is None else way.to([extreme])), last

    def _held(self, rows: Rows, at: int) -> Iterator[Read]:
        """With the capital Albany; whose city is Oslo; named Erie."""
        tokens = self.names.tokens
        at = self._past(at, {"be"})
        if not self._is(at, {"with", "whose", "named", "called"}):
            return
        if tokens[at].lemma in ("named", "called"):
            for column, text, stop in self.names.rows(at + 1):
                if column.table is rows.table and called(column):
                    yield rows.also(equal(column, text)), stop
            return
        for end in range(min(len(tokens), at + 4), at + 1, -1):
            named = self.names.column(at + 1, end, rows.table)
            if named is None:
                continue
            for column, text, stop in self.names.rows(self._past(end, {"be"})):
                if column is named:
                    yield rows.also(equal(column, text)), stop

    def _is(self, at: int, lemmas: "frozenset[str] | set[str]") -> bool:
        return at < len(self.names.tokens) and self.names.tokens[at].lemma in lemmas

    def _past(self, at: int, lemmas: "frozenset[str] | set[str]") -> int:
        return at + 1 if self._is(at, lemmas) else at


def _relates(names: Names, start: int, end: int, table: Table | None = None) -> float | None:
    """How surely a span says no more than that two things belong together; None if not so.

    It is a verb with small words before it and prepositions behind it, any of which may be
    missing; `are members of` is one for members. An unknown verb leaves some doubt.
    """
    sure, stage = 1.0, 0
    place = start
    while place < end:
        token = names.tokens[place]
        word, text = token.lemma, token.text.lower()
        if token.mark is not Mark.WORD or word in APART or word in LIMITING:
            return None
        if word in DENYING or word in AUXILIARY:
            if stage > 1 and word not in DENYING:
                return None
        elif word in PREPOSITIONS:
            stage = 2
        elif word in RELATING or text in RELATING:
            if stage > 1:
                return None
            stage = 1
        else:
            again = [stop for found, stop in names.tables(place) if found is table]
            if again and stage == 0 and place > start and again[0] < end:
                place, stage = again[0], 1
                continue
            verb = text.endswith("ed")  # issues *labelled* urgent
            if stage > 0 or names.says_more(place, verb=verb) or word in STOP:
                return None
            if names.superlative(place) is not None:
                return None
            stage = 1
            sure *= UNKNOWN
        place += 1
    return sure


def _often(way: Way, thing: Column | None) -> exp.Expr | None:
    """The condition that most rows of another table go with a row, or with the rows of a thing."""
    first = way.steps[0]
    if first.here[0].foreign and not first.there[0].foreign:  # each row goes with one
        if thing is None:
            return None
        query = selected(thing.table, (thing,))
        own: tuple[Column, ...] = (thing,)
        counted = [sql_column(thing)]
    else:
        own = first.here
        counted = [joined_column(column, 0) for column in first.there]
        query = exp.select(*counted).from_(joined_table(first.other, 0))
        for number, step in enumerate(way.steps[1:], start=1):
            pairs = zip(step.here, step.there, strict=True)
            on = exp.and_(
                *(
                    exp.EQ(
                        this=joined_column(one, number - 1), expression=joined_column(other, number)
                    )
                    for one, other in pairs
                )
            )
            query = query.join(joined_table(step.other, number), on=on)
    query = query.group_by(*(column.copy() for column in counted))
    count = exp.Count(this=exp.Star())
    query = query.order_by(exp.Ordered(this=count, desc=True, nulls_first=False))
    ties = exp.LimitOptions(rows=True, with_ties=True)
    one_row = exp.Literal.number(1)
    query.set("limit", exp.Fetch(direction="FIRST", count=one_row, limit_options=ties))
    left = [sql_column(column) for column in own]
    test = left[0] if len(left) == 1 else exp.Tuple(expressions=left)
    return exp.In(this=test, query=query.subquery())
