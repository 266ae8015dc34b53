"""A question as the rules see it: one string in which each linked span is a marked number.

`names of singers older than 30` becomes `@c0 of @t1 older than @n2`. The letters say what the span
may be: c a column, t a table, v a value, q quoted text, n a number, d a date. Rules are regular
expressions over that string; what one has understood is struck out (`#`), so that the next does
not read it again, and what is left at the end was not understood.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.lexicon import ARRIVING, FILLER, LEAVING, POLITE, STOP, SUPERLATIVES
from mcp_server.nl2sql.linking import Linker, Ref
from mcp_server.nl2sql.logical import Query
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.tokens import Mark, Token, lemma

STRUCK = "#"
DET = r"(?:(?:the|a|an|all|any|every|its|their|his|her|our|this|that|those|these|of|some) )*"
COLUMN_TABLE_GAP = 0.25
BINDERS = frozenset(["of", "for", "from", "in", "about"])
IN_LISTS = frozenset(
    ["and", "or", ",", "the", "a", "an", "its", "their", "his", "her", "all", "each", "every",
     "also", "any", "as-well-as", "well", "as", "along", "with", "both", "different", "distinct",
     "unique", "these", "those", "this", "that", "some", "respective", "corresponding", "other",
     "average", "total", "maximum", "minimum", "number"]
)  # fmt: skip
BEFORE_NOUNS = frozenset([*SUPERLATIVES, "most", "least", "expensive", "recent", "common",
                          "popular", "top", "single", "certain", "various"])  # fmt: skip


def col(name: str) -> str:
    """A pattern for a span that may be a column."""
    return rf"@(?=[a-z]*c)[a-z]+(?P<{name}>\d+)(?!\d)"


def tab(name: str) -> str:
    """A pattern for a span that may be a table."""
    return rf"@(?=[a-z]*t)[a-z]+(?P<{name}>\d+)(?!\d)"


def num(name: str) -> str:
    return rf"@n(?P<{name}>\d+)(?!\d)"


def val(name: str) -> str:
    """A pattern for a span that may be a value: known, quoted, or a date."""
    return rf"@(?=[a-z]*[vqd])[a-z]+(?P<{name}>\d+)(?!\d)"


@dataclass(slots=True)
class Item:
    """A place in the question: a plain token, or a linked span."""

    token: Token
    ref: Ref | None = None
    used: bool = False


@dataclass(slots=True)
class Question:
    """The question under analysis and the query that grows from it."""

    text: str
    linker: Linker
    graph: JoinGraph
    items: list[Item]
    query: Query = field(default_factory=Query)
    subject: Table | None = None
    mentioned: dict[Table, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubt: float = 0.0
    chosen: dict[int, Column] = field(default_factory=dict)
    as_said: list[object] = field(default_factory=list)
    """Conditions whose column the question names, and which therefore stand as they are."""
    struck: tuple[int, int] = (0, 0)
    ordered_at: int = 10_000
    """Where an order is asked for."""
    selected: set[int] = field(default_factory=set)
    """Spans that are asked for by name."""
    counted: set[int] = field(default_factory=set)
    """Where counts begin."""
    certain: set[Table] = field(default_factory=set)
    """Tables that have the only column that a span can mean."""
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Where in the question each condition (by id) was read."""

    @property
    def code(self) -> str:
        return " ".join(self._codes())

    def _codes(self) -> Iterator[str]:
        for index, item in enumerate(self.items):
            if item.used:
                yield STRUCK
            elif item.ref is not None:
                yield f"@{letters(item)}{index}"
            elif item.token.mark is Mark.NUMBER:
                yield f"@n{index}"
            elif item.token.mark is Mark.DATE:
                yield f"@d{index}"
            else:
                yield item.token.lemma.replace("@", "").replace(" ", "-") or STRUCK

    def search(self, pattern: str) -> re.Match[str] | None:
        return re.search(rf"(?:(?<=\s)|^){pattern}(?=\s|$)", self.code)

    def strike(self, match: re.Match[str], group: str | int = 0) -> None:
        """Mark what a match (or one group of it) covers as understood."""
        if match.start(group) < 0:
            return
        before = match.string[: match.start(group)]
        first = len(before.split())
        count = len(match.group(group).split())
        self.struck = (first, first + count)
        for item in self.items[first : first + count]:
            item.used = True

    def ref(self, match: re.Match[str], name: str) -> tuple[int, Ref]:
        index = int(match.group(name))
        found = self.items[index].ref
        assert found is not None
        return index, found

    def number(self, match: re.Match[str], name: str) -> int | float:
        value = self.items[int(match.group(name))].token.value
        assert value is not None
        return value

    def remove(self, index: int) -> None:
        """Take a place out of the question, as if its words had not been said."""
        del self.items[index]
        self.chosen = {at - (at > index): column for at, column in self.chosen.items()}

    # resolution ------------------------------------------------------------------------------

    def table(self, index: int) -> Table | None:
        ref = self.items[index].ref
        return ref.tables[0][0] if ref is not None and ref.tables else None

    def column(
        self, index: int, *, near: Table | None = None, numeric: bool = False
    ) -> Column | None:
        """The column that a span most likely names, given the tables around it."""
        ref = self.items[index].ref
        if ref is None or not ref.columns:
            return None
        if index in self.chosen and near is None and not numeric:
            return self.chosen[index]
        local = near or self.table_around(index)
        generic = self._generic(ref, local or self.subject) if not numeric else None
        if generic is not None:
            self.chosen[index] = generic
            return generic

        def weight(pair: tuple[Column, float]) -> float:
            column, score = pair
            bonus = 0.0
            if column.table is local:
                bonus += 0.45
            if column.table is self.subject:
                bonus += 0.2
            if column.table in self.mentioned:
                bonus += 0.12
            if self.subject is not None and column.table is not self.subject:
                distance = self.graph.distance(self.subject, column.table)
                bonus -= 0.05 * min(distance, 6) if distance < 99 else 0.6
            if column.table in self.certain:
                bonus += 0.1
            if column.foreign:
                bonus -= 0.04
            bonus += 0.1 * self.direction(column)
            if numeric and not column.counts:
                bonus -= 0.4
            return score + bonus

        ranked = sorted(ref.columns, key=weight, reverse=True)
        if len(ranked) > 1:
            margin = weight(ranked[0]) - weight(ranked[1])
            self.doubt += max(0.0, 0.08 - margin)
        self.chosen[index] = ranked[0][0]
        return ranked[0][0]

    def _generic(self, ref: Ref, owner: Table | None) -> Column | None:
        """`id` and `name` of a thing are its key and the column that it is called by."""
        words = tuple(word for word in ref.text.lower().split() if word not in ("the", "of"))
        if owner is None or len(words) != 1:
            return None
        word = lemma(words[0])
        if word == "id":
            return owner.key or next((c for c in owner.columns if c.words[-1:] == ("id",)), None)
        if word == "name":
            return name_column(owner)
        return None

    def table_around(self, index: int) -> Table | None:
        """The table that the words around a span name: `dog ages`, `age and weight of the dogs`."""
        if index and "t" in letters(self.items[index - 1]) and not self.items[index - 1].used:
            return self.table(index - 1)
        after = index + 1
        bound = False
        while after < len(self.items):
            item = self.items[after]
            word = item.token.lemma
            if item.ref is not None:
                kinds = letters(item)
                if "t" in kinds and bound and not ("c" in kinds and _is_listed(self, after)):
                    return self.table(after)
                if "c" not in kinds and "v" not in kinds and not bound:
                    return None
            elif word in BINDERS:
                bound = True
            elif word not in IN_LISTS and not (
                bound and (item.token.mark is Mark.NUMBER or word in BEFORE_NOUNS)
            ):
                return None
            after += 1
        return None

    def value_columns(self, index: int) -> list[tuple[Column, str]]:
        """The columns that hold a value, those of tables at hand first."""
        ref = self.items[index].ref
        if ref is None:
            return []

        def weight(pair: tuple[Column, str]) -> float:
            column = pair[0]
            near = 0.0
            if column.table is self.subject:
                near += 1.0
            if column.table in self.mentioned:
                near += 0.8
            if self.subject is not None:
                near -= 0.2 * min(self.graph.distance(self.subject, column.table), 6)
            return near - 0.1 * column.foreign + 0.5 * self.direction(column, index)

        return sorted(ref.values, key=weight, reverse=True)

    def direction(self, column: Column, index: int | None = None) -> int:
        """1 where a column is the way that the question speaks of, -1 where it is the other.

        index: of the item whose words before count; without one, the whole question's do.
        """
        end = len(self.items) if index is None else index
        first = 0 if index is None else max(0, index - 5)
        words = {item.token.lemma for item in self.items[first:end]}
        name = column.name.lower()
        leaving = any(part in name for part in LEAVING[1])
        arriving = any(part in name for part in ARRIVING[1])
        if leaving == arriving:
            return 0
        goes = bool(words & ARRIVING[0])
        comes = bool(words & LEAVING[0]) and not words & {"arrive", "arriving", "land", "landing"}
        if comes and not (goes and "to" not in words):
            return 1 if leaving else -1
        return (1 if arriving else -1) if goes else 0

    def adjective_column(self, hints: Sequence[str], near: Table | None) -> Column | None:
        """The column that an adjective speaks of: `oldest` and a column for age."""
        tables = [t for t in (near, self.subject, *self.mentioned) if t is not None]
        for table in dict.fromkeys(tables):
            for hint in hints:
                for column in table.columns:
                    if column.foreign or column.primary:
                        continue
                    if column.kind not in (Kind.NUMBER, Kind.DATE) and not column.numeric_text:
                        continue
                    if hint in column.words or any(
                        word.endswith(hint) and len(hint) > 3 for word in column.words
                    ):
                        return column
        return None

    # what was not understood -----------------------------------------------------------------

    def unused(self) -> list[str]:
        """Words that carry meaning and that no rule has used."""
        return [
            item.token.text
            for item in self.items
            if not item.used
            and item.token.mark is not Mark.PUNCTUATION
            and item.token.lemma not in STOP
            and item.token.lemma not in FILLER
            and item.token.lemma not in POLITE
        ]


def _is_listed(question: "Question", index: int) -> bool:
    """Whether a span that may be a column too stands in a list of columns."""
    following = question.items[index + 1] if index + 1 < len(question.items) else None
    return following is not None and following.token.lemma in BINDERS


def name_column(table: Table) -> Column | None:
    """The column that rows of a table are called by, where there is one."""
    text = [column for column in table.columns if column.kind is Kind.TEXT]
    exact = [column for column in text if column.words == ("name",)]
    own = [
        column
        for column in text
        if column.words[-1:] == ("name",) and set(column.words[:-1]) <= set(table.words)
    ]
    joined = [column for column in text if column.name.lower() == "".join(table.words) + "name"]
    compound = [
        column
        for column in text
        if column.name.lower().endswith("name")
        and any(word in column.name.lower() for word in table.words)
    ]
    some = exact or own or joined or compound
    return some[0] if some else None


def letters(item: Item) -> str:
    """What a linked span may be."""
    ref = item.ref
    if ref is None:
        return ""
    found = ""
    column, table = ref.best_column, ref.best_table
    if column and column >= table - COLUMN_TABLE_GAP:
        found += "c"
    if table and (table >= column - COLUMN_TABLE_GAP):
        found += "t"
    if ref.values:
        found += "v"
    elif item.token.mark is Mark.QUOTED:
        found += "q"
    return found


def build(text: str, tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Question:
    """A question with its spans linked, its subject and the tables that it names."""
    refs = linker.refs(tokens)
    items: list[Item] = []
    position = 0
    for ref in refs:
        items.extend(Item(token) for token in tokens[position : ref.start])
        token = tokens[ref.start] if ref.end == ref.start + 1 else _joined(tokens, ref)
        items.append(Item(token, ref))
        position = ref.end
    items.extend(Item(token) for token in tokens[position:])
    question = Question(text, linker, graph, items)
    for item in items:
        if item.ref is None:
            continue
        if letters(item) == "c" and item.ref.columns[0][1] >= 0.9:
            table = item.ref.columns[0][0].table
            if set(table.words) < {lemma(word) for word in item.ref.text.split()}:
                question.mentioned.setdefault(table, 0.9)  # `shop name` speaks of shops
        if "t" in letters(item):
            table, score = item.ref.tables[0]
            question.mentioned[table] = max(score, question.mentioned.get(table, 0.0))
    strong = [table for table, score in question.mentioned.items() if score >= 0.85]
    question.subject = next(iter(strong or question.mentioned), None)
    if question.subject is None:  # no table is named: the one of the first column that is
        named = [item.ref.columns[0] for item in items if item.ref is not None and item.ref.columns]
        sure = [column.table for column, score in named if score >= 0.75]
        sure += [item.ref.values[0][0].table for item in items if item.ref and item.ref.values]
        question.subject = sure[0] if sure else None
    for item in items:
        best = [c for c, score in item.ref.columns if score >= 0.85] if item.ref else []
        if len(best) == 1 and "t" not in letters(item):
            question.certain.add(best[0].table)
    return question


def _joined(tokens: Sequence[Token], ref: Ref) -> Token:
    span = tokens[ref.start : ref.end]
    return Token(
        " ".join(token.text for token in span),
        "-".join(token.lemma for token in span),
        Mark.WORD,
    )
