"""Rows below and above others of their table, to any depth; those that have none below them."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import role_words, root
from mcp_server.nl2sql.relations.naming import Names
from mcp_server.nl2sql.relations.rows import Read, Rows
from mcp_server.nl2sql.relations.ways import (
    Step,
    Way,
    Ways,
    own_keys,
    selected,
    sql_column,
    up,
)
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Table
from mcp_server.nl2sql.sql.joined import identifier, named
from mcp_server.nl2sql.words.tokens import Token

Where: TypeAlias = Sequence[exp.Expr]
Relation: TypeAlias = Callable[[Where], exp.Expr]

Nouns: TypeAlias = Callable[[int, int], Iterator[Read]]
"""What reads the rows that words name from a place on, so deep within others."""

LEVELS = (
    "at any level", "at all levels", "at every level", "directly or indirectly",
    "directly and indirectly", "direct or indirect", "indirectly or directly", "recursively",
    "at any depth", "even indirectly", "indirectly", "on any level", "on all levels",
)  # fmt: skip
"""Phrases that say that rows of rows count as well."""
_LEVELS = re.compile(rf",? ?\b(?:{'|'.join(LEVELS)})\b", re.IGNORECASE)
BELOW = frozenset({"below", "under", "underneath", "beneath"})
ABOVE = frozenset({"above", "over"})
SUPERIORS = frozenset({"manager", "supervisor", "boss", "superior", "report", "chief", "lead"})
PARENTS = frozenset({"parent", "upper", "super", "master", "belong", "part"})
NOBODY = frozenset(
    {"nobody", "one", "anyone", "anybody", "anything", "others", "someone", "somebody"}
)
CHILDREN = frozenset({"child", "kid", "descendant"})
REPORTS = frozenset({"report", "subordinate", "underling"})


@dataclass(frozen=True, slots=True)
class Trees:
    """Relations over keys to a table's own rows."""

    ways: Ways

    def keys(self, table: Table) -> list[ForeignKey]:
        """The keys of a table to its own rows."""
        return own_keys(self.ways.graph, table)

    def parent(self, table: Table) -> Step | None:
        """The step from a row to what it is below; None where that is not clear."""
        keys = self.keys(table)
        ranked = [key for key in keys if {*key.column.words} & (SUPERIORS | PARENTS)]
        found = ranked if len(ranked) == 1 else keys
        return up(found[0]) if len(found) == 1 else None

    def relatives(self, words: tuple[str, ...], table: Table) -> Relation | None:
        """What a noun for relatives says of the rows whose relatives they are: the grandparent,
        the children, the subcategories, the direct reports, all descendants.
        """
        parent = self.parent(table)
        if parent is None or not words:
            return None
        less = tuple(w for w in words if w not in table.words) or words
        noun = "".join(less)
        depth = noun.count("great") + ("grand" in noun)
        bare = noun.replace("great", "").replace("grand", "").strip("-")
        direct = bare.removeprefix("direct").removeprefix("immediate")
        key = self._key_of(parent)
        ups = {"parent", *(role_words(key, table))}
        if bare in ups and depth:
            return Way((parent.back,) * (depth + 1)).to
        downs = {*CHILDREN, *(REPORTS if self._superior(key) else ())}
        if bare in ("descendant", "subordinate") or (bare in downs and "all" in less):
            return lambda where: self.all_below(parent, where)
        if bare == "ancestor" or (bare in {"superior", "superiors"}):
            return lambda where: self.all_above(parent, where)
        if direct in downs or self._sub(words, table):
            return Way((parent,) * (depth + 1)).to
        return None

    def _key_of(self, step: Step) -> Column:
        return step.here[0]

    def _superior(self, column: Column) -> bool:
        return bool({*column.words} & SUPERIORS)

    def _sub(self, words: Sequence[str], table: Table) -> bool:
        """Subcategory, sub-unit, child category."""
        said = "".join(words).replace("-", "")
        own = "".join(table.words)
        return said in (f"sub{own}", f"child{own}")

    def is_below(self, words: Sequence[str], table: Table) -> Step | None:
        """The step from what a noun names, the children, to what they are below: replies, reports,
        subcategories.
        """
        noun = "".join(w for w in words if w not in ("direct", "any", "other"))
        for key in self.keys(table):
            own = set(role_words(key.column, table))
            if {root(noun)} & {root(word) for word in own} and key.column.words[-1:] == ("to",):
                return up(key)
        parent = self.parent(table)
        if parent is None:
            return None
        superior = self._superior(self._key_of(parent))
        if noun in CHILDREN or self._sub(tuple(words), table) or (noun in REPORTS and superior):
            return parent
        return None

    def clause(self, table: Table, at: int, names: Names, nouns: Nouns) -> Iterator[Read]:
        """That are below Ann; who report to Ann, directly or indirectly; with no children."""
        tokens = names.tokens
        start = at
        while start < len(tokens) and tokens[start].lemma in ("that", "which", "who", "be", "come"):
            start += 1
        yield from self._none_below(table, start, names)
        if start >= len(tokens):
            return
        word = tokens[start].lemma
        place = start + 1
        verb = tokens[start : start + 3]
        step = self.parent(table)
        down: bool | None = None
        if word in BELOW or word in ABOVE:
            down = word in BELOW
        elif step is not None and word in ("report", "work") and len(verb) > 1:
            place, down = start + 2, True
        way = self.ways.between(table, table, verb) if down is None else None
        if down is None and (way is None or not way.said):
            return
        for stop in range(place, min(len(tokens), start + 4)):
            for rows, end in nouns(stop, 2):
                if rows.table is not table or not rows.where:
                    continue
                levels = self._levels(tokens, end)
                if levels is None and (down is None or word in ("report", "work")):
                    continue
                steps = way.steps if way is not None else () if step is None else (step,)
                if not steps:
                    continue
                condition = self.everything(table, steps, rows.where, upwards=down is False)
                found = Rows(table, (condition,), rows.sure, rows.relations + 1, special=True)
                yield found, end if levels is None else levels
            if down is not None:
                return

    def _levels(self, tokens: Sequence[Token], at: int) -> int | None:
        """Where a phrase for any number of levels ends that begins at a place."""
        texts = [token.text.lower() for token in tokens]
        at += at < len(texts) and texts[at] == ","
        for phrase in LEVELS:
            words = phrase.split()
            if texts[at : at + len(words)] == words:
                return at + len(words)
        return None

    def _none_below(self, table: Table, at: int, names: Names) -> Iterator[Read]:
        """With no children, without replies, that got no replies, who do not manage anyone."""
        tokens = names.tokens
        lemmas = [token.lemma for token in tokens]
        end = at
        denied = False
        while end < len(tokens) and lemmas[end] in HAVING:
            denied |= lemmas[end] in ("no", "not", "without", "never")
            end += 1
        if end > at:
            for stop in range(min(len(tokens), end + 3), end, -1):
                step = self.is_below(lemmas[end:stop], table)
                if step is not None:
                    yield Rows(table, (self._has_below(step, denied=denied),), special=True), stop
        end = at
        while end < len(tokens) and lemmas[end] in ("do", "not", "never", "have"):
            end += 1
        denied = "not" in lemmas[at:end] or "never" in lemmas[at:end]
        if end >= len(tokens):
            return
        verb = root(lemmas[end])
        after = end + 1
        while after < len(tokens) and lemmas[after] in ("any", "other"):
            after += 1
        if lemmas[after : after + 1] == ["nobody"] or lemmas[after : after + 2] == ["no", "one"]:
            denied = True
            after += lemmas[after] == "no"
        named = after < len(tokens) and (
            lemmas[after] in NOBODY or any(t is table for t, _ in names.tables(after))
        )
        for key in self.keys(table):
            if named and verb in {root(word) for word in role_words(key.column, table)}:
                condition = self._has_below(up(key), denied=denied)
                yield Rows(table, (condition,), special=True), after + 1

    def _has_below(self, step: Step, *, denied: bool) -> exp.Expr:
        held = exp.Not(this=exp.Is(this=sql_column(step.here[0]), expression=exp.Null()))
        return Way((step.back,)).to([] if denied else [held], negated=denied)

    def all_below(self, parent: Step, where: Where) -> exp.Expr:
        """The condition that a row is below others, however far."""
        return self.everything(parent.other, (parent,), where)

    def all_above(self, parent: Step, where: Where) -> exp.Expr:
        """The condition that a row is above others, however far."""
        return self.everything(parent.other, (parent,), where, upwards=True)

    def everything(
        self, table: Table, steps: Sequence[Step], where: Where, *, upwards: bool = False
    ) -> exp.Expr:
        """The condition that rows are reached from others by a step, and again from those.

        steps: from a row to the next; over a table that puts two rows together there are two.
        """
        if upwards:
            steps = tuple(step.back for step in reversed(steps))
        first, last = steps[0], steps[-1]
        (own,), (there,) = first.here, last.there
        far = identifier(there.name)
        start = selected(table, (there,), where)
        onward = there if len(steps) == 1 else first.there[0]
        again = (
            exp.select(exp.column(identifier(onward.name), table=identifier(NEXT)))
            .from_(exp.alias_(named(onward.table), NEXT, table=True))
            .join(
                exp.to_table(REACHED),
                on=exp.EQ(
                    this=exp.column(identifier(last.here[0].name), table=identifier(NEXT)),
                    expression=exp.column(far.copy(), table=identifier(REACHED)),
                ),
            )
        )
        found = exp.select(exp.column(far.copy())).from_(exp.to_table(REACHED))
        if len(steps) == 2:
            among = exp.In(this=sql_column(last.here[0]), query=found.subquery())
            found = selected(onward.table, (onward,), [among])
        union = exp.Union(this=start, expression=again, distinct=True)
        found = found.with_(REACHED, as_=union, recursive=True)
        return exp.In(this=sql_column(own), query=found.subquery())


REACHED, NEXT = "reached", "onward"
HAVING = frozenset({"with", "without", "have", "get", "got", "receive", "received", "no", "not",
                    "never", "any", "do"})  # fmt: skip


def with_levels_last(question: str) -> str:
    """A question with what it says of levels at its end: trained directly or indirectly by Ann."""
    found = _LEVELS.search(question)
    if found is None:
        return question
    rest = f"{question[: found.start()]}{question[found.end() :]}".rstrip(" ?.!,")
    return f"{rest} {found.group().strip(' ,')}"
