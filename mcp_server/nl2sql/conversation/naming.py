"""What a follow-up names, in the light of the last query: its columns before all others."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.linking.heard import role_words
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Table
from mcp_server.nl2sql.sql.joined import NoJoinError
from mcp_server.nl2sql.words.tokens import Mark, Token, normal_text, tokenize

LEAST = 0.6
"""The score under which a name is none."""
HERE = 0.25
"""What it counts that a column's table is in the query."""
DATES = frozenset({"date", "time", "day", "when"})
POINTING = frozenset({"it", "they", "be", "have", "that", "on", "at", "of"})
SURELY = 0.9
SMALL = frozenset({"the", "a", "an", "of", "their", "its", "each", "every", "all", "column"})


def within(
    tree: exp.Query, text: str, linker: Linker, graph: JoinGraph
) -> tuple[exp.Select, exp.Expr] | None:
    """What words name, as a query has it, with the table that it needs; None where nothing is."""
    try:
        standing = Standing(tree, graph, linker.profile)
        names = Names(standing, linker)
        table = names.table(text)
        column = names.column(text) if table is None else shown(table)[0]
        found = None if column is None else standing.column(column)
    except NoJoinError:
        return None
    return None if found is None else (standing.select, found)


@dataclass(frozen=True, slots=True)
class Names:
    """Looks names up. standing: the last query; linker: the whole schema."""

    standing: Standing
    linker: Linker

    def column(self, text: str, kind: Kind | None = None) -> Column | None:
        """The column that words mean; None where none is meant clearly, or none can be reached."""
        words = self.words(text)
        if kind in (None, Kind.DATE) and DATES & set(words) and not self._whole(words):
            kind = Kind.DATE  # the date they joined, ship date
            words = tuple(word for word in words if word not in DATES | POINTING) or words
        scored = sorted(
            (
                (score + HERE * (column.table in self.standing.tables), column)
                for column, score in self.linker.columns(words)
                if score >= LEAST
                and (kind is None or column.kind is kind)
                and self.standing.reaches(column.table)
            ),
            key=lambda pair: -pair[0],
        )
        return scored[0][1] if scored else None

    def _whole(self, words: tuple[str, ...]) -> bool:
        return any(score >= SURELY for _, score in self.linker.columns(words))

    def output(self, text: str) -> exp.Expr | None:
        """The output of the query that words name: by its alias, or by the column in it."""
        words = self.words(text)
        outputs: list[exp.Expr] = self.standing.select.expressions
        for output in outputs:
            if output.alias and words == self.words(output.alias.replace("_", " ")):
                return output
        meant = self.column(text)
        found = (o for o in outputs if meant is not None and meant in self.standing.columns(o))
        return next(found, None)

    def table(self, text: str) -> Table | None:
        """The table that words name, if its rows can be joined; not where a column fits better."""
        words = self.words(text)
        tables = [(t, s) for t, s in self.linker.tables(words) if self.standing.reaches(t)]
        best = max((s for _, s in self.linker.columns(words)), default=0.0)
        return next((t for t, s in tables if s >= max(0.85, best)), None)

    def role(self, text: str) -> ForeignKey | None:
        """The one key of the query's tables whose row a noun names: by *assignee*."""
        words, graph = self.words(text), self.standing.graph
        found = [
            key
            for table in self.standing.tables
            for key in graph.keys_of(table)
            if role_words(key.column, key.target.table) == words and not key.beside
        ]
        return found[0] if len(found) == 1 else None

    def instead(self, text: str) -> bool:
        """Whether words are held where a condition of the query is: `and by card?`, after cash."""
        met = [c for each in self.standing.conditions() for c in self.standing.columns(each)]
        held = self.linker.profile.value_index.get(normal_text(text), ())
        return any(column in met for column, _ in held)

    def date(self) -> Column | None:
        """The date that the query is about, or the first that its tables have."""
        used = [
            column
            for part in ("where", "group", "order")
            for column in self.standing.columns(self.standing.select.args.get(part))
        ]
        of_tables = [column for table in self.standing.tables for column in table.columns]
        return next((c for c in (*used, *of_tables) if c.kind is Kind.DATE), None)

    def listed(self, text: str) -> list[Column]:
        """Columns with commas or `and` between; empty where one of them is none.

        A table stands for what its rows are shown by, also where the key to it has its name.
        """
        found: list[Column] = []
        for part in (part for each in text.split(",") for part in each.split(" and ")):
            if not part.strip():
                continue
            column = self.column(part)
            table = self.table(part) if column is None or column.foreign else None
            table = table or self._of_role(part)
            if table is not None:
                found += shown(table)
            elif column is not None:
                found.append(column)
            else:
                return []
        return found

    def _of_role(self, text: str) -> Table | None:
        """Where a key leads that has a role for its name: the curator, the curator's name."""
        words = self.words(text)
        role = words[:-1] if words[-1:] == ("name",) else words
        leading = [
            key.target.table
            for key in self.linker.profile.foreign_keys
            if key.column.table in self.standing.tables and key.column.words[:-1] == role
        ]
        return leading[0] if len(leading) == 1 and self.standing.reaches(leading[0]) else None

    def words(self, text: str) -> tuple[str, ...]:
        """The lemmas of a name, as the schema has them."""
        tokens: Sequence[Token] = self.linker.prepare(tokenize(text))
        lemmas = [t.lemma for t in tokens if t.mark is not Mark.PUNCTUATION]
        return tuple(word for word in lemmas if word not in SMALL) or tuple(lemmas)
