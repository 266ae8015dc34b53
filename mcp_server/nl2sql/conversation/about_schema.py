"""Questions about the schema itself: what tables there are, what is in one, what a column means.

They are answered by a query like any other question: how big a table is is counted; what the
catalog and the user say comes as VALUES, so that whoever reads it has rows, and nothing of the
system's catalogs has to be readable.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.legends import legend
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.sql.joined import named
from mcp_server.nl2sql.words.lexicon import STOP
from mcp_server.nl2sql.words.tokens import Mark, tokenize

SURE = 0.95
LEAST = 0.85
"""The score under which words name no table or column of a question about the schema."""
LISTED_MAX = 500
VALUES_SHOWN = 12
_OPENING = r"^(?:(?:please|can you|could you|so|ok(?:ay)?|and) )*"
_TABLES = re.compile(
    _OPENING + r"(?:(?:what|which) (?:tables|relations)(?: and views)?"
    r"(?: (?:are there|do (?:you|we|i) have|exist|are (?:available|known)|can i (?:ask|query)|"
    r"does (?:it|this database|the database) have|are in (?:here|it|(?:this|the) database)))?"
    r"|(?:list|show|name|give)(?: me)?(?: all)?(?: the| your)? tables"
    r"|what(?: data)? (?:can i ask(?: about)?|do you (?:know|have)|is (?:there|in (?:this|the) "
    r"database))|describe (?:this|the) (?:database|schema)|show(?: me)?(?: the)? schema)$",
    re.IGNORECASE,
)
_COLUMNS = re.compile(
    _OPENING + r"(?:(?:what|which) (?:columns|fields|attributes) (?:does|do|are in|are there in|"
    r"are on|has|have|belong to|is in)(?: the)? (?P<a>.+?)(?: table)?(?: have| has| contain)?"
    r"|(?:list|show|give)(?: me)?(?: all)?(?: the)? (?:columns|fields|attributes) (?:of|in|for)"
    r"(?: the)? (?P<b>.+?)(?: table)?"
    r"|describe(?: the)?(?: table)? (?P<c>.+?)(?: table)?"
    r"|what is (?:in|stored in|the structure of)(?: the)?(?: table)? (?P<d>.+?)(?: table)?)$",
    re.IGNORECASE,
)
_SIZE = re.compile(
    _OPENING + r"(?:how (?:big|large|long) (?:is|are)(?: the)?(?: table)? (?P<a>.+?)(?: table)?"
    r"|how many (?:rows|records|entries) (?:are (?:there )?in|does|has|do|have|are of)(?: the)?"
    r"(?: table)? (?P<b>.+?)(?: table)?(?: have| has| contain)?"
    r"|what is the size of(?: the)?(?: table)? (?P<c>.+?)(?: table)?)$",
    re.IGNORECASE,
)
_MEANING = re.compile(
    _OPENING + r"(?:what (?:does|do)(?: the)?(?: column| field)?s? (?P<a>.+?) (?:mean|stand for)"
    r"|what is meant by(?: the)?(?: column)? (?P<b>.+?)"
    r"|(?:explain|define)(?: the)? (?:column|field|metric|measure) (?P<c>.+?)"
    r"|what is(?: the)? (?:meaning|definition) of(?: the)?(?: column)? (?P<d>.+?))$",
    re.IGNORECASE,
)
_RELATED = re.compile(
    _OPENING + r"how (?:is|are)(?: the)? (?P<a>.+?) (?:and|related to|connected (?:to|with)|"
    r"linked to|joined (?:to|with))(?: the)? (?P<b>.+?)(?: (?:related|connected|linked|joined))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class About:
    """An answer about the schema: a query, and what it tells."""

    tree: exp.Query
    reading: str
    confidence: float = SURE


def about_schema(question: str, linker: Linker, graph: JoinGraph) -> About | None:
    """The answer to a question about the schema; None for any other."""
    text = re.sub(r"[\s?.!]+$", "", " ".join(question.split()))
    found = linker.profile
    if _TABLES.match(text) and not any("table" in table.words for table in found.tables):
        return _tables(found.tables)
    for pattern, tell in ((_SIZE, _size), (_COLUMNS, _columns)):
        table = _table(_name(pattern.match(text)), linker)
        if table is not None:
            return tell(table)
    meant = _name(_MEANING.match(text))
    if meant:
        return _meaning(meant, linker)
    related = _RELATED.match(text)
    if related is not None:
        one, other = (_table(related[part], linker) for part in ("a", "b"))
        if one is not None and other is not None and one is not other:
            return _related(one, other, graph)
    return None


def _name(match: re.Match[str] | None) -> str:
    named_by = [] if match is None else [part for part in match.groups() if part]
    return named_by[0] if named_by else ""


def _words(text: str) -> tuple[str, ...]:
    tokens = [t.lemma for t in tokenize(text.replace(".", " ")) if t.mark is not Mark.PUNCTUATION]
    return tuple(word for word in tokens if word not in STOP) or tuple(tokens)


def _table(text: str, linker: Linker) -> Table | None:
    """The table of that name: all of the words, and nothing else of the question, name it."""
    if not text:
        return None
    exact = next((t for t in linker.profile.tables if t.name == text.strip('"')), None)
    best = linker.tables(_words(text))
    return exact or (best[0][0] if best and best[0][1] >= LEAST else None)


def _tables(tables: Sequence[Table]) -> About:
    rows = [
        (table.name, "view" if table.view else "table", table.rows, table.comment)
        for table in tables[:LISTED_MAX]
    ]
    return About(
        _values(rows, ("name", "kind", "estimated_rows", "comment")),
        "The tables and views that questions can be about, with what is said of them.",
    )


def _size(table: Table) -> About:
    tree = exp.select(exp.Count(this=exp.Star())).from_(named(table))
    return About(tree, f"The number of rows of {table.name}.")


def _columns(table: Table) -> About:
    rows = [(c.name, c.type, _key(c), _told(c)) for c in table.columns[:LISTED_MAX]]
    return About(
        _values(rows, ("column_name", "type", "key", "comment")),
        f"The columns of {table.name}, with what is said of them.",
    )


def _meaning(text: str, linker: Linker) -> About | None:
    words = _words(text)
    named_ones = [c for c, score in linker.columns(words) if score >= LEAST]
    of_table = [c for c in named_ones if set(c.table.words) & set(words)]
    exact = [c for c in named_ones if c.words == words]
    columns = of_table or exact or named_ones
    if not columns:
        table = _table(text, linker)
        return None if table is None else _columns(table)
    rows = [
        (c.table.name, c.name, c.type, _told(c), ", ".join(_held(c))) for c in columns[:LISTED_MAX]
    ]
    return About(
        _values(rows, ("table_name", "column_name", "type", "meaning", "held")),
        f"What is said of {text}, and some of its values.",
    )


def _told(column: Column) -> str:
    """What the user, or a comment, says of a column."""
    if column.made is not None:
        how = column.made.unit if column.measured else "computed"
        return "; ".join(part for part in (column.comment, how) if part)
    codes = ", ".join(f"{code} = {meaning}" for code, meaning in legend(column).items())
    return column.comment or codes


def _held(column: Column) -> Iterator[str]:
    yield from sorted(column.values.values())[:VALUES_SHOWN]
    if column.low is not None and column.high is not None:
        yield f"{column.low:g} to {column.high:g}"


def _key(column: Column) -> str:
    return "primary key" if column.primary else "refers to another table" * column.foreign


def _related(one: Table, other: Table, graph: JoinGraph) -> About | None:
    path = graph.path(one, other)
    if not path:
        return None
    rows = [
        (
            mine.table.name,
            mine.name,
            theirs.table.name,
            theirs.name,
            "found by values" if key.inferred else "declared",
        )
        for key in path
        for mine, theirs in key.pairs
    ]
    return About(
        _values(rows, ("table_name", "column_name", "refers_to_table", "refers_to_column", "key")),
        f"The keys that lead from {one.name} to {other.name}.",
    )


def _values(rows: Sequence[Sequence[str | int]], names: Sequence[str]) -> exp.Query:
    if not rows:  # PostgreSQL has no VALUES without a row
        cells = (exp.alias_(exp.cast(exp.null(), "text"), name) for name in names)
        return exp.select(*cells).where(exp.false())
    tuples = [
        exp.Tuple(
            expressions=[
                exp.Literal.number(cell) if isinstance(cell, int) else exp.Literal.string(cell)
                for cell in row
            ]
        )
        for row in rows
    ]
    alias = exp.TableAlias(
        this=exp.to_identifier("told"), columns=[exp.to_identifier(name) for name in names]
    )
    return exp.select("*").from_(exp.Values(expressions=tuples, alias=alias))
