"""The things that a question asks for, and what is measured of each of them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import HAVING, root
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.relations.naming import ARTICLES
from mcp_server.nl2sql.relations.phrases import AUXILIARY, PREPOSITIONS
from mcp_server.nl2sql.relations.ways import Ways
from mcp_server.nl2sql.schema.display import shown
from mcp_server.nl2sql.schema.model import Kind, Table
from mcp_server.nl2sql.sql.joined import identifier, named
from mcp_server.nl2sql.stages.parts import Measure, Parts, Things
from mcp_server.nl2sql.words.lexicon import RELATING
from mcp_server.nl2sql.words.tokens import Token, lemma, stem, tokenize

_ASKING = re.compile(
    r"^(?:(?P<count>how many)|(?:please )?(?:which|what|who are|list|show|find|give|name|display)"
    r"(?: me)?)(?: of)?(?: all)?(?: the| our)? (?P<rest>.+?)[?.! ]*$"
    r"|^(?:the |all )?(?P<bare>.+?)[?.! ]*$",
    re.IGNORECASE,
)
SIGN = (
    r"(?P<sign>above|below|over|under|exceeds?|exceeding|(?:higher|lower|more|less|fewer|greater"
    r"|larger|smaller|better|worse) than)"
)
_BARE = re.compile(r"^(?:with|who|that|which|whose|having|in|from|at|of)\b", re.IGNORECASE)
"""How a phrase goes on that only names rows."""
LESS = frozenset({"fewer", "less", "lower", "smaller", "below", "under", "worse"})
SAYING_OF_ALL = frozenset({"that", "who", "which", "with", "us", "ever", "often", "whose"})
DOING = frozenset({*HAVING, *(root(w) for w in ("send", "give", "bring", "record", "run"))})
SURE = 0.95


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about some things. counted: whether it is asked how many they are."""

    things: Things
    words: str
    rest: str
    counted: bool
    dated: str = ""
    """Words that tell which date is meant."""


def asked(text: str, dated: str, parts: Parts) -> Iterator[Asked]:
    """How a question may begin with the things that it asks for."""
    asking = _ASKING.match(text)
    if asking is None:
        return
    for words, table, rest in parts.begun(asking["rest"] or asking["bare"]):
        if not rest or (asking["bare"] and not _BARE.match(rest)):
            continue
        if _is_named(rest, table, parts):
            continue  # the captain *rank*, and not captains
        things = parts.things(words, table)
        if things is not None:
            yield Asked(things, words, rest, asking["count"] is not None, dated)


def _is_named(rest: str, table: Table, parts: Parts) -> bool:
    """Whether what follows the name of a table goes on with that of its column."""
    first = tokenize(rest)[0]
    columns = parts.linker.columns((first.lemma,))
    return any(
        column.table is table and column.kind in (Kind.TEXT, Kind.NUMBER) and score >= SURELY
        for column, score in columns
    )


def measure_of(
    things: Things, verb: str, what: str | None, parts: Parts
) -> tuple[Measure, exp.Expr, str] | None:
    """What is measured of each thing, the key of the thing there, and what the verb says of it."""
    verb = " ".join(word for word in verb.lower().split() if word not in SAYING_OF_ALL)
    table: Table | None = None
    if what is None:  # who *ordered* more often: what is made of the verb
        event = _event(things.table, verb, parts)
        if event is None:
            return None
        table, verb = event
        measure = parts.measure(f"number of {' '.join(table.words)}s")
    else:
        measure = parts.measure(what)
    if measure is None or (table is not None and measure.table is not table):
        return None
    if measure.table is things.table:
        return None
    key = parts.by(measure, things, verb)
    if key is None or not _says_no_more(verb, measure, things, parts):
        return None
    return measure, key, verb


def _event(things: Table, verb: str, parts: Parts) -> tuple[Table, str] | None:
    """The table of what a verb says was done, with the words that are left: loans, of what was
    *loaned*, or else *borrowed*.
    """
    near = {key.column.table for key in parts.graph.keys_to(things) if not key.column.table.view}
    for word in verb.split():
        same = {t for t in near if root(word) == root(_noun(t)) and len(root(word)) > 2}
        like = {t for t, _ in parts.linker.tables((lemma(word),)) if t in near}
        found = same or (set() if word in RELATING else like)
        if len(found) == 1:
            return found.pop(), " ".join(each for each in verb.split() if each != word)
    return None


def _noun(table: Table) -> str:
    """The word of a table's name that says what its rows are: *check*, of check-ins."""
    nouns = [word for word in table.words if word not in PREPOSITIONS]
    return nouns[-1] if nouns else table.words[-1]


def _says_no_more(verb: str, measure: Measure, things: Things, parts: Parts) -> bool:
    """Whether a verb says no more than that what is measured belongs to a thing, or when."""
    way = Ways(parts.graph).between(measure.table, things.table, tokenize(verb))
    dates = {stem(word) for c in measure.table.columns for word in c.words[:1]}
    for token in tokenize(verb):
        word = token.lemma
        if links(token) or (way is not None and way.said):
            continue
        if stem(word) in dates or root(word) in {root(w) for w in measure.table.words}:
            continue
        return False
    return True


def links(token: Token) -> bool:
    """Whether a word says no more than that two things belong together."""
    word, text = token.lemma, token.text.lower()
    small = word in AUXILIARY or word in PREPOSITIONS or text in SAYING_OF_ALL or word in ARTICLES
    return small or word in RELATING or text in RELATING or root(word) in DOING


def grouped(measure: Measure, key: exp.Expr) -> exp.Select:
    """The rows that are measured by what they go with; those that go with nothing are left out."""
    select = measure.standing.select.copy()
    select.set("expressions", [key.copy()])
    if not all(column.full or column.primary for column in measure.standing.columns(key)):
        nothing = exp.Is(this=key.copy(), expression=exp.Null())
        select = select.where(exp.Not(this=nothing))
    return select.group_by(key.copy())


def among(of: Asked, keys: exp.Select) -> exp.Expr:
    """The condition that a thing is among those whose keys a query finds."""
    own = exp.column(identifier(of.things.key.name))
    return exp.In(this=own, query=keys.subquery())


def of_things(of: Asked, conditions: Sequence[exp.Expr], sure: float) -> Related:
    """The things that meet conditions, or how many they are."""
    things = of.things
    query = exp.select().from_(named(things.table))
    for condition in dict.fromkeys((*things.where, *conditions)):
        query = query.where(condition.copy())
    outputs: list[exp.Expr] = [exp.Count(this=exp.Star())]
    if not of.counted:
        outputs = [exp.column(identifier(column.name)) for column in shown(things.table)]
    return Related(query.select(*outputs), sure, special=True)


def of_keys(of: Asked, keys: exp.Select, sure: float) -> Related:
    """The things whose keys a query finds, or how many they are."""
    return of_things(of, [among(of, keys)], SURE * min(sure, of.things.sure))


def compared(sign: str, one: exp.Expr, other: exp.Expr) -> exp.Expr:
    """One value over another, or under it, as the words of a comparison say."""
    kind = exp.LT if sign.lower().split()[0] in LESS else exp.GT
    return kind(this=one, expression=other)


def number_of(text: str) -> exp.Expr:
    """A number as SQL writes it."""
    return exp.Literal.number(text)
