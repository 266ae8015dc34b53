"""What a question asks of the rows that its phrases name: how many, which, a column of theirs."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import OWNING, heard, role_words, root
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.relations.likes import Likes
from mcp_server.nl2sql.relations.naming import Names, called, equal, measure_beside, thing_of
from mcp_server.nl2sql.relations.phrases import PREPOSITIONS, Phrases
from mcp_server.nl2sql.relations.rows import Read, Rows
from mcp_server.nl2sql.relations.together import Together
from mcp_server.nl2sql.relations.trees import Trees, with_levels_last
from mcp_server.nl2sql.relations.ways import Way, Ways, selected, sql_column, up
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.words.tokens import Mark

SURE = 0.86
"""The confidence in a question of which each word has its part."""
POLITE = frozenset({"can", "could", "you", "tell", "me", "us", "so", "now", "and"})
COURTESY = frozenset(
    {"please", "pls", "plz", "kindly", "hi", "hello", "hey", "thx", "thanks", "cheers"}
)
"""Words that are in place anywhere, and ask for nothing."""
OPENING = frozenset(
    {"list", "show", "give", "find", "get", "display", "name", "which", "what", "who", "be", "me",
     "us", "all", "the", "of", "return"}
)  # fmt: skip
AGGREGATES: dict[str, type[exp.AggFunc]] = {
    "total": exp.Sum, "sum": exp.Sum, "average": exp.Avg, "mean": exp.Avg, "maximum": exp.Max,
    "minimum": exp.Min,
}  # fmt: skip


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Related:
    """A question's query. special: whether no single query of the grammar says the like."""

    tree: exp.Query
    confidence: float
    special: bool
    depth: int = 0


def related(question: str, linker: Linker, graph: JoinGraph) -> Related | None:
    """What a question means that is phrases within phrases; None where a word is left over."""
    try:
        return _Asking(question, linker, graph).best()
    except Exception:  # a mistake here: the question is read as any other, and the log says why
        log.exception("the relations of a question could not be read")
        return None


class _Asking:
    def __init__(self, question: str, linker: Linker, graph: JoinGraph) -> None:
        tokens = [
            t
            for t in heard(with_levels_last(question))
            if (t.mark is not Mark.PUNCTUATION or t.text == ",") and t.text.lower() not in COURTESY
        ]
        while tokens and tokens[-1].mark is Mark.PUNCTUATION:
            tokens.pop()
        self.names = Names(tokens, linker, graph)
        ways = Ways(graph)
        self.ways = ways
        self.phrases = Phrases(self.names, ways, Trees(ways), Likes(ways))
        self.tokens = tokens
        self.lemmas = [token.lemma for token in tokens]

    def best(self) -> Related | None:
        """The first query of which all words have their part; none where two of them differ."""
        if any(token.mark is Mark.SIGN for token in self.tokens):
            return None
        at = 0
        while at < len(self.tokens) and self.lemmas[at] in POLITE:
            at += 1
        together = Together(self.names, self.ways, self.phrases.trees).asked(at)
        if together is not None:
            return Related(together, SURE, special=True)
        found: dict[str, tuple[float, Related]] = {}
        for tree, rows in self._queries(at):
            sql = tree.sql(dialect="postgres")
            weight = rows.sure - 0.01 * rows.relations
            known = found.get(sql)
            if known is None or known[0] < weight:
                one = Related(tree, SURE * rows.sure, rows.special or rows.depth > 1, rows.depth)
                found[sql] = weight, one
            if len(found) > READINGS_MAX:
                break
        if not found:
            return None
        ranked = sorted(found.values(), key=lambda pair: -pair[0])
        return ranked[0][1]

    def _queries(self, at: int) -> Iterator[tuple[exp.Query, Rows]]:
        if self.lemmas[at : at + 2] == ["how", "many"]:
            yield from self._counted(at + 2)
            return
        if self.lemmas[at : at + 3] == ["the", "number", "of"]:
            yield from self._counted(at + 3)
            return
        if self.lemmas[at : at + 2] in (["number", "of"], ["count", "the"]):
            yield from self._counted(at + 2)
            return
        if self.lemmas[at : at + 1] == ["who"] and self.lemmas[at + 1 : at + 2] != ["be"]:
            yield from self._doers(at + 1)
            yield from ((self._list(rows), rows) for rows in self._whole(at))
        inside = at < len(self.tokens) and self.lemmas[at] in PREPOSITIONS
        if inside and self.lemmas[at + 1 : at + 2] in (["which"], ["what"]):
            yield from ((self._list(rows), rows) for rows in self._inverted(at + 2))
            return
        start = at
        while start < len(self.tokens) and self.lemmas[start] in OPENING:
            start += 1
        yield from self._attributes(start)
        named = start
        if self.lemmas[start - 2 : start] == ["name", "of"]:
            named = start
        for rows in (*self._whole(named), *self._inverted(named)):
            yield self._list(rows), rows

    def _whole(self, at: int) -> Iterator[Rows]:
        """Rows that all the words from a place on name."""
        for rows, end in self.phrases.nouns(at):
            if self._ends(end) and (rows.relations or rows.special):
                yield rows

    def _ends(self, at: int) -> bool:
        return at >= len(self.tokens) or (
            at == len(self.tokens) - 1 and self.lemmas[at] in ("there", "be")
        )

    def _inverted(self, at: int) -> Iterator[Rows]:
        """Which states does the Ohio run through; in which assemblies is the rim used."""
        for table, end in self.names.tables(at):
            if self.lemmas[end : end + 1] not in (["do"], ["be"], ["have"]):
                continue
            for rows, stop in self.phrases.object_of(Rows(table), end + 1):
                if self._ends(stop):
                    yield rows

    def _counted(self, at: int) -> Iterator[tuple[exp.Query, Rows]]:
        for rows in (*self._whole(at), *self._inverted(at), *self._there(at)):
            yield self._count(rows), rows

    def _there(self, at: int) -> Iterator[Rows]:
        """How many rivers are there in states that ..."""
        for place in range(at + 1, min(len(self.tokens) - 1, at + 4)):
            if self.lemmas[place : place + 2] == ["be", "there"]:
                for table, end in self.names.tables(at):
                    if end == place:
                        for rows, stop in self.phrases.clauses(Rows(table), place + 2, 0):
                            if self._ends(stop) and rows.relations:
                                yield rows

    def _doers(self, at: int) -> Iterator[tuple[exp.Query, Rows]]:
        """Who leads Aurora, who invited Mona, who blocked Ann."""
        if at >= len(self.tokens):
            return
        verb = root(self.lemmas[at])
        for rows, end in self.phrases.nouns(at + 1):
            if not self._ends(end) or not rows.where:
                continue
            keys = [
                key
                for key in self.names.graph.keys_of(rows.table)
                if verb in {root(w) for w in role_words(key.column, key.target.table)}
                and key.column.words[-1:] != ("to",)
            ]
            if len(keys) == 1:
                way = Way((up(keys[0]).back,), said=True)
                target = Rows(keys[0].target.table).also(way.to(rows.where), of=rows)
                yield self._list(target), target.specially()

    def _attributes(self, at: int) -> Iterator[tuple[exp.Query, Rows]]:
        """The population of the states that ..., Ann's manager's salary."""
        for end in range(at + 1, min(len(self.tokens) - 1, at + 5)):
            if self.lemmas[end] not in ("of", "in", "for", "on"):
                continue
            extreme = extreme_at(self.names, at)
            apart = self._kept_apart(end + 1) if extreme else ()
            for rows, stop in (*self.phrases.nouns(end + 1), *apart):
                if self._ends(stop) and (rows.relations or extreme):
                    yield from self._shown(at, end, rows)
        for rows, end in self.phrases.nouns(at):
            if end < len(self.tokens) and self.tokens[end].text == OWNING and rows.relations:
                yield from self._shown(end + 1, len(self.tokens), rows)

    def _kept_apart(self, at: int) -> Iterator[Read]:
        """Rows by a value that none is called by: in the USA, of which several tables speak."""
        start = at + (self.lemmas[at : at + 1] == ["the"])
        for column, text, end in self.names.rows(start):
            if not called(column):
                yield Rows(column.table, (equal(column, text),), relations=1), end

    def _shown(self, start: int, end: int, rows: Rows) -> Iterator[tuple[exp.Query, Rows]]:
        """Columns of rows, and measures of one."""
        if self.lemmas[start:end] in (["name"], ["title"]):
            yield self._list(rows), rows
            return
        kind = AGGREGATES.get(self.lemmas[start]) if end - start > 1 else None
        if kind is not None:
            for column, owner in self._columns(start + 1, end, rows):
                if column.counts:
                    query = selected(owner.table, (), owner.where)
                    yield query.select(kind(this=sql_column(column))), owner
            return
        cuts = [place for place in range(start, end) if self.lemmas[place] in ("and", ",")]
        if cuts:
            bounds = zip([start, *(cut + 1 for cut in cuts)], [*cuts, end], strict=True)
            found = [self.names.column(one, two, rows.table) for one, two in bounds if one < two]
            if None not in found:
                yield self._select(rows, [each for each in found if each is not None]), rows
            return
        for column, owner in self._columns(start, end, rows):
            yield from self._of_all(start, end, column, owner)

    def _columns(self, start: int, end: int, rows: Rows) -> Iterator[tuple[Column, Rows]]:
        """What a span names of rows, or of rows that refer to them."""
        column = self.names.column(start, end, rows.table)
        if column is not None:
            yield column, rows
            return
        for table in self.names.graph.tables:
            found = None if table.view else self.names.column(start, end, table)
            way = found and self.ways.between(table, rows.table, ())
            if found is not None and way and len(way.steps) == 1 and way.steps[0].here[0].foreign:
                where = rows.where
                yield found, Rows(table).also(way.to(where), of=rows) if where else Rows(table)

    def _of_all(
        self, start: int, end: int, column: Column, rows: Rows
    ) -> Iterator[tuple[exp.Query, Rows]]:
        """A column of rows; of one that says of each what is the most there, the most of all."""
        several = self.tokens[end - 1].text.lower().endswith("s")
        if extreme_at(self.names, start) and not several:
            measure = measure_beside(column)
            if measure is None:
                return
            descending = self.names.extreme(start)
            rows = rows.also(self.phrases.extreme(rows, measure, descending=bool(descending)))
        elif not rows.relations:
            return
        yield self._select(rows, [column]), rows

    def _list(self, rows: Rows) -> exp.Select:
        columns = shown(rows.table)
        return _of_link(rows, columns) or self._select(rows, columns)

    def _select(self, rows: Rows, columns: list[Column]) -> exp.Select:
        query = selected(rows.table, columns, rows.where)
        thing = thing_of(rows.table)
        whole = thing is not None and any(_of_thing(each, thing) for each in rows.where)
        return query.distinct() if whole or _told_again(rows, columns) else query

    def _count(self, rows: Rows) -> exp.Select:
        thing = thing_of(rows.table)
        count: exp.Expr = exp.Star()
        if thing is not None:
            count = exp.Distinct(expressions=[sql_column(thing)])
        query = selected(rows.table, (), rows.where)
        return query.select(exp.Count(this=count))


def extreme_at(names: Names, at: int) -> bool:
    """Whether a name begins with a word for the most, as columns of extremes are called."""
    at += at < len(names.tokens) and names.tokens[at].lemma == "the"
    return names.extreme(at) is not None


def _of_link(rows: Rows, columns: list[Column]) -> exp.Select | None:
    """What rows are called, where the one condition on them is that another table holds just that:
    the query of that table.
    """
    if len(columns) != 1 or len(rows.where) != 1 or not isinstance(rows.where[0], exp.In):
        return None
    test, query = rows.where[0], rows.where[0].args["query"].this
    plain = isinstance(query, exp.Select) and not any(
        query.args.get(part) for part in ("group", "limit", "with_", "order")
    )
    same = isinstance(test.this, exp.Column) and test.this.name == columns[0].name
    return query.copy() if plain and same and columns[0].primary else None


def _told_again(rows: Rows, columns: list[Column]) -> bool:
    """Whether a text that several rows have is shown of rows that others refer to: which models."""
    column = columns[0]
    if len(columns) > 1 or column.kind is not Kind.TEXT or called(column):
        return False
    keys = {each.name for each in rows.table.columns if each.primary or each.unique}
    referred = (isinstance(each, exp.In) and each.this.name in keys for each in rows.where)
    return column.distinct < rows.table.rows and any(referred)


def _of_thing(condition: exp.Expr, thing: Column) -> bool:
    """Whether a condition is on a thing, and so the same on all the rows that are of it."""
    own = isinstance(condition, exp.In) and condition.this.name == thing.name
    whole = isinstance(condition, exp.Not | exp.EQ) and condition.find(exp.Select) is not None
    return own or whole


READINGS_MAX = 24
