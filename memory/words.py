"""Ranking by words: which lexemes a text has, in which language, and how rare each of them is.

A question matches what has any of its words; the rare ones count more (as in BM25: Robertson and
Zaragoza, "The Probabilistic Relevance Framework", 2009). "auto" keeps every word as it is and its
stem in the language that the text seems to be in, so that a question finds exact words whatever
either was taken for.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from memory.database.steps import FetchAll, Steps
from memory.errors import ConfigurationError

AUTO, SIMPLE = "auto", "simple"
MOST_LEXEMES = 64
MOST_QUERY_CHARACTERS = 20_000
MOST_CHARACTERS = 80_000
"""Of a text, whose words are kept: as they are and by their stems, of three bytes a character."""
COUNT_UP_TO = 10_000

_COMMON = {
    "english": "the of and to in is that it was for with as are on be this have what which how",
    "german": "der die das und ist nicht ein eine zu den mit von auf für im dem sich wie was ich",
    "french": "le la les de des et est un une dans que pour qui pas sur avec au du je quel quelle",
    "spanish": "el la los las de y es un una en que por con para no se su al del como qué cuál",
    "italian": "il lo gli di e è un una che per con non si del della sono come quale nel i",
    "portuguese": "o os as de e é um uma em que por com para não se do da como qual no na",
    "dutch": "de het een en van is dat niet op te in met voor zijn aan er wat welke ik hoe",
}
_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _LANGUAGES_OF.setdefault(_word, []).append(_language)
_WORD = re.compile(r"\w+")


def language_of(text: str) -> str:
    """The text search configuration of a text, by its most common words; "simple" if unsure."""
    hits = dict.fromkeys(_COMMON, 0)
    for word in _WORD.findall(text[:MOST_QUERY_CHARACTERS].casefold()):
        for language in _LANGUAGES_OF.get(word, ()):
            hits[language] += 1
    best, second = sorted(hits, key=lambda name: -hits[name])[:2]
    return best if hits[best] > hits[second] else SIMPLE


def require_language(language: str) -> Steps[None]:
    """Raise ConfigurationError for a text search configuration that the database does not have."""
    if language == AUTO:
        return
    rows = yield FetchAll("select cfgname from pg_ts_config order by 1", ())
    names = [name for (name,) in rows]
    if language.rpartition(".")[2] not in names:
        raise ConfigurationError(
            f"language is {language!r}; it must be {AUTO!r}, or a text search configuration of the "
            f"database: {', '.join(names)}"
        )


def configurations(language: str, text: str) -> list[str]:
    """The text search configurations of a text: of a language, or with "auto" of its own."""
    return [SIMPLE, language_of(text)] if language == AUTO else [language]


def cleaned(text: str) -> str:
    """As much of a text as PostgreSQL can take apart: a `tsvector` has at most 1 MB."""
    start = text[:MOST_CHARACTERS]
    return start.replace("\0", " ").encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Words:
    """The words to look for, each as a `tsquery`, and what each is worth."""

    lexemes: list[str]
    worth: list[float]

    @property
    def any(self) -> str:
        """A `tsquery` of what has one of them."""
        return " | ".join(self.lexemes)


LEXEMES: LiteralString = (
    "with said as materialized ("
    " select t.lexeme, bool_or(to_tsvector(%s::regconfig, t.lexeme) <> '') as tells"
    " from unnest(%s::text[]) c, lateral unnest(to_tsvector(c::regconfig, %s)) t"
    " group by t.lexeme"
    "), longest as ("
    # Words that say nothing in the question's language are left out, unless there is no other.
    " select lexeme from said where tells or not (select bool_or(tells) from said)"
    ' order by length(lexeme) desc, lexeme collate "C" limit %s'
    "), lexemes as ("
    " select lexeme, chr(39) || replace(replace(lexeme, chr(92), repeat(chr(92), 2)),"
    " chr(39), repeat(chr(39), 2)) || chr(39) as l from longest"
    ") "
)
"""The words of a question, each as a `tsquery`."""
BY_LENGTH: LiteralString = ' order by length(lexeme) desc, lexeme collate "C"'
ALIKE: LiteralString = LEXEMES + "select l from lexemes" + BY_LENGTH
COUNTED: LiteralString = (
    LEXEMES + "select l,"
    " (select count(*) from (select from {table} where {column} @@ l::tsquery limit %s) few),"
    " greatest(c.reltuples, (select count(*) from (select from {table} limit {most}) few))::float8"
    " from pg_class c, lexemes where c.oid = {name}::regclass" + BY_LENGTH
)
"""How many rows have each, and how many there are."""


def words_of(
    question: str, language: str, table: sql.Composable, column: sql.Composable | None
) -> Steps[Words]:
    """The words of a question. table, column: where to count who has them; None: not at all."""
    text = cleaned(question)[:MOST_QUERY_CHARACTERS]
    known = configurations(language, text)
    asked = (known[-1], known, text, MOST_LEXEMES)
    if column is None:
        rows = yield FetchAll(ALIKE, asked)
        return Words([lexeme for (lexeme,) in rows], [1.0] * len(rows))
    counted = sql.SQL(COUNTED).format(
        table=table,
        column=column,
        name=sql.Literal(table.as_string()),
        most=sql.Literal(COUNT_UP_TO),
    )
    rows = yield FetchAll(counted, (*asked, COUNT_UP_TO + 1))
    counts = {lexeme: count for lexeme, count, _ in rows if count}
    return weighed(counts, max((total for *_, total in rows), default=0.0))


def weighed(counts: dict[str, int], rows: float) -> Words:
    """What words are worth, of how many rows have each: the rarer, the more.

    What more than COUNT_UP_TO rows have is left out where there is a rarer word: it would cost a
    look at each of them, and say little.
    """
    rare = {lexeme: n for lexeme, n in counts.items() if n <= COUNT_UP_TO} or counts
    total = max(rows, *counts.values(), 1) if counts else 1
    worth = [math.log(1 + (total - n + 0.5) / (n + 0.5)) for n in rare.values()]
    return Words(list(rare), worth)


# Saturates with repetition and falls with length, as BM25's term does.
HIT = sql.SQL(
    "(select coalesce(sum(w.worth * ts_rank({column}, w.q::tsquery, 1)), 0)"
    " from unnest(%s::text[], %s::float8[]) as w (q, worth))"
)


def parameters_of(words: Words) -> Sequence[object]:
    """The parameters of HIT."""
    return words.lexemes, words.worth
