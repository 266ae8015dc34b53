"""What spans of a question name, all of their words: tables, rows, columns, roles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import role_words, root
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import INNER
from mcp_server.nl2sql.relations.ways import sql_column
from mcp_server.nl2sql.schema.display import are_people, full_name, name_of
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.words.lexicon import PHRASE_SUPERLATIVES, SUPERLATIVES
from mcp_server.nl2sql.words.tokens import Mark, Token

ARTICLES = frozenset({"the", "a", "an", "all", "any", "some", "their", "other"})
SOMEBODY = frozenset(
    {"person", "people", "everyone", "everybody", "anyone", "anybody", "someone", "somebody",
     "those", "who", "one"}
)  # fmt: skip
SURELY = 0.9
NAMED = 0.85
VALUE_WORDS = 6
NAME_WORDS = 4


@dataclass(frozen=True, slots=True)
class Names:
    """Looks spans of one question up. Places are of its tokens."""

    tokens: Sequence[Token]
    linker: Linker
    graph: JoinGraph

    def lemmas(self, start: int, end: int) -> tuple[str, ...]:
        """The lemmas of a span, without the article it may begin with."""
        found = tuple(token.lemma for token in self.tokens[start:end])
        return found[1:] if len(found) > 1 and found[0] in ARTICLES else found

    def tables(self, start: int) -> Iterator[tuple[Table, int]]:
        """Tables that the words from a place on name, each with where it ends; longest first."""
        for end in range(min(len(self.tokens), start + NAME_WORDS), start, -1):
            span = self.tokens[start:end]
            if any(token.mark is not Mark.WORD for token in span):
                continue
            if {span[0].lemma, span[-1].lemma} & INNER:
                continue
            words = tuple(token.lemma for token in span)
            if len(words) == 1 and words[0] in SOMEBODY:
                yield from ((table, end) for table in self.people())
                continue
            if len(words) > 1 and words[-1] == "member":  # staff members
                words = words[:-1]
            found = [(t, s) for t, s in self.linker.tables(words) if s >= SURELY and not t.view]
            if found and (len(found) == 1 or found[0][1] > found[1][1]):
                yield found[0][0], end
            elif not found and len(words) == 1:
                yield from ((table, end) for table in self._by_last_word(words[0]))

    def people(self) -> list[Table]:
        """The one table of people; none where there are several."""
        found = [t for t in self.graph.tables if are_people(t) and name_of(t) and not t.view]
        return found if len(found) == 1 else []

    def _by_last_word(self, word: str) -> list[Table]:
        """The one table that a word says shortly, direct messages as messages, or that a key of
        two between its rows is named for: the assemblies, of parts.
        """
        ending = [t for t in self.graph.tables if t.words[-1:] == (word,) and not t.view]
        if ending:
            return ending if len(ending) == 1 else []
        roles = [
            key.target.table
            for table in self.graph.pairing
            for key in self.graph.keys_of(table)
            if role_words(key.column, key.target.table) == (word,)
        ]
        return roles if len(roles) == 1 else []

    def rows(self, start: int) -> Iterator[tuple[Column, str, int]]:
        """Values that the words from a place on are, with the column that holds them."""
        for end in range(min(len(self.tokens), start + VALUE_WORDS), start, -1):
            ref = self.linker.ref(self.tokens, start, end)
            if ref is None or not ref.values:
                continue
            for column, text in ref.values:
                if not column.table.view and column.made is None:
                    yield column, text, end

    def column(self, start: int, end: int, table: Table) -> Column | None:
        """The column of a table that a span names."""
        words = self.lemmas(start, end)
        if not words:
            return None
        found = [
            (c, s) for c, s in self.linker.columns(words)
            if c.table is table and s >= NAMED and c.made is None
        ]  # fmt: skip
        return found[0][0] if found else None

    def says_more(self, at: int, *, verb: bool = False) -> bool:
        """Whether a word names a value or a table, unless that only puts others together.

        A verb that is called like a table says that things belong together, as that table does.
        """
        ref = self.linker.ref(self.tokens, at, at + 1)
        if ref is None:
            return False
        table = ref.tables[0][0] if ref.best_table >= SURELY else None
        links = table is not None and len(self.graph.keys_of(table)) > 1
        return bool(ref.values) or (table is not None and not links and not verb)

    def role(self, start: int, end: int, table: Table) -> ForeignKey | None:
        """The key of a table whose referred row a noun names: the *manager* of an employee."""
        words = self.lemmas(start, end)
        found = []
        for key in self.graph.keys_of(table):
            target = key.target.table
            own = role_words(key.column, target)
            names = {own, (*own, *target.words), (*target.words, *own)} - {()}
            if not own:
                names = {target.words}
            if words in names or (len(words) == 1 and len(own) == 1 and _same(words[0], own[0])):
                found.append(key)
        return found[0] if len(found) == 1 else None

    def superlative(self, start: int) -> tuple[tuple[str, ...], bool, int] | None:
        """An adjective for the most or the least of something: what columns it may speak of, which
        end of them it means, where it stops.
        """
        if start >= len(self.tokens):
            return None
        pair = " ".join(token.text.lower() for token in self.tokens[start : start + 2])
        if pair in PHRASE_SUPERLATIVES:
            return (*PHRASE_SUPERLATIVES[pair], start + 2)
        word = self.tokens[start].text.lower()
        if word in SUPERLATIVES and word.endswith("st") and word not in ("first", "last"):
            return (*SUPERLATIVES[word], start + 1)
        return None

    def extreme(self, at: int) -> bool | None:
        """Whether a word says which end is meant, the upper one or not; None if it says none."""
        found = self.superlative(at)
        return None if found is None else found[1]

    def measure(self, table: Table, hints: Sequence[str]) -> Column | None:
        """The column of a table that an adjective speaks of; of one measure alone, that."""
        for hint in hints:
            for column in table.columns:
                if hint in column.words and (column.counts or column.kind is Kind.DATE):
                    return column
        measures = [c for c in table.columns if c.adds_up]
        return measures[0] if len(measures) == 1 else None


def _same(word: str, own: str) -> bool:
    return word == own or (root(word) == root(own) and len(root(own)) > 3)


def called(column: Column) -> bool:
    """Whether rows are called by a column, or told apart."""
    table = column.table
    return column in full_name(table) or column is name_of(table) or column.unique


def equal(column: Column, text: str) -> exp.Expr:
    """A column that holds a text."""
    return exp.EQ(this=sql_column(column), expression=exp.Literal.string(text))


def thing_of(table: Table) -> Column | None:
    """The name that several rows of a table share, where each of them says something else of one
    thing and nothing tells them apart: the states of a river.
    """
    name = name_of(table)
    told = any(column.primary or column.unique for column in table.columns)
    return name if name is not None and not told and 0 < name.distinct < table.rows else None


def measure_beside(column: Column) -> Column | None:
    """What a column of extremes is the most by: itself, or the number that is called alike, as
    `highest_elevation` is beside `highest_point`.
    """
    if column.counts:
        return column
    alike = [
        c for c in column.table.columns
        if c is not column and c.counts and c.words[:1] == column.words[:1]
    ]  # fmt: skip
    return alike[0] if len(alike) == 1 else None
