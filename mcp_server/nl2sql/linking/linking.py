"""Which words of a question name which tables, columns and values, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mcp_server.nl2sql.linking.matching import INNER, name_match
from mcp_server.nl2sql.linking.wording import Wording
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.words.lexicon import (
    EVERYDAY,
    NOISE_IN_TABLE_NAMES,
    NOUNS_IN_STOP,
    SEXES,
    STOP,
    SUPERLATIVES,
)
from mcp_server.nl2sql.words.places import KNOWN_AS
from mcp_server.nl2sql.words.tokens import (
    Mark,
    Token,
    identifier_words,
    normal_text,
    shape_of,
)
from mcp_server.nl2sql.words.trigrams import TrigramIndex, one_letter_off

T = TypeVar("T")

_DIRECTIONS = frozenset(
    {"ascending", "descending", "alphabetical", "alphabetic", "increasing", "decreasing", "in",
     "lexicographic", "lexicographical", "chronological", "reverse", "asc", "desc"}
)  # fmt: skip
_CODES = frozenset({"code", "cd", "no", "yn", "flag", "nbr"})
_APART = frozenset({Mark.PUNCTUATION, Mark.QUOTED, Mark.DATE, Mark.SIGN})
_VERBS = frozenset({"count", "list", "name", "state", "order", "sort", "number", "rank", "report"})
_CALCULATING = frozenset(
    {"average", "mean", "maximum", "minimum", "max", "min", "total", "sum", "avg"}
)
_COUNTED = {
    "number": {"number", "num", "no", "nbr", "count", "cnt"},
    "count": {"count", "cnt", "number", "num"},
    "amount": {"amount", "amt", "quantity", "qty"},
    "quantity": {"quantity", "qty", "amount", "amt"},
    "total": {"total"},
    "no": {"no", "number"},
}
"""Words that count rows, and the words of a column that holds such a count."""
_COUNTING = frozenset(_COUNTED)

SPAN_MAX = 6
KEEP_WITHIN = 0.3
THRESHOLD = 0.5
NAMED_TABLE = 0.95
SURELY = 0.9
DERIVED = 0.97
"""As VIEWED, for a column that would have to be computed."""
VIEWED = 0.98
"""Of two names that fit alike, a table's goes before a view's."""
FUZZY_VALUE_MIN = 0.55
FUZZY_LOOKED_AT_MIN = 0.4
FUZZY_OTHER_WORDS_MIN = 0.75
"""As FUZZY_VALUE_MIN, for a value of more or fewer words."""
FUZZY_LENGTH_MIN = 6
"""A shorter word is like too many others."""
DERIVED_LENGTH_MIN = 6
DERIVED_SHARE = 0.7
"""How much of two words must be the same from the beginning for one to be made from the other."""


@dataclass(slots=True)
class Ref:
    """A span of tokens [start, end) and what it may name, each with a score from 0 to 1."""

    start: int
    end: int
    text: str
    columns: list[tuple[Column, float]] = field(default_factory=list)
    tables: list[tuple[Table, float]] = field(default_factory=list)
    values: list[tuple[Column, str]] = field(default_factory=list)
    partly: list[Column] = field(default_factory=list)
    """Columns with values that contain a quoted text which is none itself."""
    score: float = 0.0

    @property
    def best_column(self) -> float:
        """The score of the best column; 0 without one."""
        return max((score for _, score in self.columns), default=0.0)

    @property
    def best_table(self) -> float:
        """The score of the best table; 0 without one."""
        return max((score for _, score in self.tables), default=0.0)


class Linker:
    """Links for one database, for any thread; the matches of words and names are remembered."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._small = {
            table.words
            for table in profile.tables
            if len(table.words) == 1 and NOUNS_IN_STOP & set(table.words)
        } | {
            column.words
            for column in profile.columns
            if len(column.words) > 1 and STOP & {column.words[0], column.words[-1]}
        }
        """Names that are, begin or end with a small word: `record`, `valid from`."""
        self._trigrams: TrigramIndex | None = None
        self._by_beginning: dict[str, list[tuple[str, list[tuple[Column, str]]]]] | None = None
        self._by_initials: dict[str, list[tuple[Column, str]]] | None = None
        self.has_dates = any(column.kind is Kind.DATE for column in profile.columns)
        self.has_years = self.has_dates or any(column.year_like for column in profile.columns)
        self._similar: dict[str, list[tuple[Column, str]]] = {}
        self._columns: dict[tuple[str, ...], list[tuple[Column, float]]] = {}
        self._tables: dict[tuple[str, ...], list[tuple[Table, float]]] = {}
        self._wording = Wording(profile, self.columns, self.tables)

    def prepare(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens as the schema would write them; see `wording`."""
        return self._wording.prepare(tokens)

    def columns(self, words: tuple[str, ...]) -> list[tuple[Column, float]]:
        """The columns that words may mean, with scores."""
        if words not in self._columns:
            found = [(column, self._column_score(words, column)) for column in self.profile.columns]
            computed = (
                (c, self._column_score(words, c))
                for c in self.profile.derived
                if not (c.kind is Kind.BOOLEAN and words[0] in SUPERLATIVES)  # `latest` is not late
            )
            found += [
                (c, score if c.measured else DERIVED * score)
                for c, score in computed
                if score >= SURELY
            ]
            self._columns[words] = _best(found)
        return self._columns[words]

    def tables(self, words: tuple[str, ...]) -> list[tuple[Table, float]]:
        """The tables that words may mean, with scores."""
        if words not in self._tables:
            found = [(table, self._table_score(words, table)) for table in self.profile.tables]
            self._tables[words] = _best(found)
        return self._tables[words]

    def _column_score(self, words: tuple[str, ...], column: Column) -> float:
        own = column.words
        table = column.table.words
        score = name_match(words, own)
        for alias in column.aliases:
            score = max(score, name_match(words, alias), name_match(words, (*table, *alias)))
        if column.kind is Kind.BOOLEAN and len(own) > 1 and own[0] in ("be", "have"):
            score = max(score, 0.98 * name_match(words, own[1:]))
        residual = tuple(word for word in own if word not in table and word not in INNER)
        if residual and residual != own and name_match(words, residual) >= 0.9:
            score = max(score, 0.96 * name_match(words, residual))
        core = tuple(word for word in residual or own if word not in _CODES)
        if core and core != own and name_match(words, core) >= 0.9:
            score = max(score, 0.88 * name_match(words, core))
        if len(own) > 1 and own[-1] == "id" and "id" not in words:
            score = min(score, 0.5)  # the thing is named, and not its number
        if len(words) > 1 and words[-1] == "name" and "name" not in own:
            score = max(score, 0.95 * name_match(words[:-1], own))
        if len(words) > 2 and own == ("".join(word[0] for word in words),):
            score = max(score, 0.95)  # miles per gallon: mpg
        if len(words) > 1 and score < 1:
            with_table = name_match(words, (*table, *own))
            if with_table >= 0.9:
                score = max(score, with_table)
        if column.comment:
            score = max(score, 0.9 * name_match(words, identifier_words(column.comment)))
        return score * VIEWED if column.table.view else score

    def _names_a_table(self, word: str) -> bool:
        return any(score >= 0.95 for _, score in self.tables((word,)))

    def _table_score(self, words: tuple[str, ...], table: Table) -> float:
        own = tuple(word for word in table.words if word not in NOISE_IN_TABLE_NAMES)
        score = name_match(words, own or table.words)
        if len(own) > len(words) and words == own[: len(words)]:
            score = max(score, 0.7)
        return score * VIEWED if table.view else score

    def refs(self, tokens: Sequence[Token]) -> list[Ref]:
        """The best cover of the tokens by spans that name something, in order."""
        best: list[tuple[float, list[Ref]]] = [(0.0, [])]
        for end in range(1, len(tokens) + 1):
            options = [best[end - 1]]
            for start in range(max(0, end - SPAN_MAX), end):
                ref = self.ref(tokens, start, end)
                if ref is not None:
                    score, chosen = best[start]
                    options.append((score + ref.score, [*chosen, ref]))
            best.append(max(options, key=lambda option: option[0]))
        return best[-1][1]

    def ref(self, tokens: Sequence[Token], start: int, end: int) -> Ref | None:
        """What the tokens [start, end) name as one span."""
        span = tokens[start:end]
        text = " ".join(token.text for token in span)
        if len(span) == 1 and span[0].mark is Mark.QUOTED:
            values = self._quoted(text)
            partly = [] if values else self._containing(text)
            return Ref(start, end, text, values=values, partly=partly, score=3.0)
        if any(token.mark in _APART for token in span):
            return None
        following = tokens[end].lemma if end < len(tokens) else ""
        measured = start and tokens[start - 1].lemma in _CALCULATING and self._is_column(span)
        counting = len(span) == 1 and span[0].lemma in _COUNTING and following in ("of", "be")
        if counting and not measured:
            return None  # "number of X" counts
        if len(span) == 1 and span[0].lemma in ("first", "last") and following not in ("and", ","):
            return None
        ordering = start and tokens[start - 1].lemma in _DIRECTIONS
        if len(span) == 1 and span[0].lemma == "order" and ordering:
            return None
        if len(span) == 1 and start == 0 and span[0].text.lower() in _VERBS:
            return None  # what to do, and not a column
        if span[0].lemma in _CALCULATING and (len(span) == 1) and following:
            return None
        ref = Ref(start, end, text)
        length = len(span)
        words = tuple(token.lemma for token in span)
        edges = span[0].lemma in STOP or span[-1].lemma in STOP
        if words in self._small:
            edges = False
        if not edges and not all(token.mark is Mark.NUMBER for token in span):
            inner = {word for word in words if word in STOP}
            ref.columns = [
                pair
                for pair in self.columns(words)
                if not inner
                or inner <= set(pair[0].words)
                or ("and" not in inner and pair[1] >= 0.95 and not self._names_a_table(words[-1]))
            ]
            if words[0] in _COUNTING and length > 2 and words[1] == "of":
                ref.columns = [p for p in ref.columns if _COUNTED[words[0]] & set(p[0].words)]
            ref.tables = self.tables(words) if not inner else []
        values = [] if self._row_of_a_table(span) else self._values(span, text)
        named = max(ref.best_column, ref.best_table)
        if values and (named < 0.85 or _is_name(span) or _says_what_was_done(ref)):
            ref.values = values
        content = sum(t.lemma not in STOP or _abbreviates(t) for t in span) or bool(ref.values)
        score = named if named >= THRESHOLD else 0.0
        if ref.values:
            sure = 0.95 if _is_name(span) or length > 1 else 0.75
            score = max(score, sure)
        if not score:
            return None
        ref.score = score * content + 0.12 * (length - 1) * (score >= 0.85)
        return ref

    def _row_of_a_table(self, span: Sequence[Token]) -> bool:
        """Whether a span is what a row is called and the name of its table: the *Ohio river*, of
        rivers, though elsewhere a text is written so.
        """
        if len(span) < 2:
            return False
        called = self.profile.value_index.get(" ".join(t.text.lower() for t in span[:-1]), ())
        tables = {table for table, score in self.tables((span[-1].lemma,)) if score >= NAMED_TABLE}
        whole = self.profile.value_index.get(" ".join(t.text.lower() for t in span), ())
        return any(c.table in tables and name_of(c.table) is c for c, _ in called) and not any(
            c.table in tables for c, _ in whole
        )

    def _is_column(self, span: Sequence[Token]) -> bool:
        """Whether a span is the whole name of a column of numbers: the total *amount* of sales."""
        words = tuple(token.lemma for token in span)
        return any(c.words == words and c.counts for c in self.profile.columns)

    def _values(self, span: Sequence[Token], text: str) -> list[tuple[Column, str]]:
        if len(span) == 1 and (
            (span[0].lemma in STOP and not _abbreviates(span[0]) and text != "May")
            or span[0].mark is Mark.NUMBER
        ):
            return []
        index = self.profile.value_index
        if len(span) > 1:
            for mark in "_-":  # in_progress
                if (joined := mark.join(token.text.lower() for token in span)) in index:
                    return index[joined]
        small = span[0].lemma in ("the", "a", "in", "of") and not span[0].capitalised
        if small and (len(span) == 1 or span[-1].lemma in STOP):
            return []
        found = index.get(normal_text(text), [])
        if not found and len(span) <= 2:
            found = index.get(" ".join(token.lemma for token in span), [])
        if not found:
            names = (normal_text(text), " ".join(token.lemma for token in span))
            known = (KNOWN_AS[name] for name in names if name in KNOWN_AS)
            for others in next(known, SEXES.get(names[1], ())):
                found = found or [pair for other in others for pair in index.get(other, ())]
        if not found and len(span) == 1 and text.isupper() and 2 <= len(text) <= 4:
            found = _alone_in_column(self._initials().get(text.lower(), []))
        if not found and len(span) == 1:
            found = self._shaped(text)
        if not found and _all_names(span):
            found = self._alike(text)
        if not found and len(span) == 1:
            found = self._derived(span[0].lemma)
        short = len(text) <= 2 and text.isascii() and not text.isupper()
        return [] if short else found

    def _quoted(self, text: str) -> list[tuple[Column, str]]:
        held = self.profile.value_index.get(normal_text(text))
        return held or self._shaped(text) or self._alike(text)

    def _shaped(self, text: str) -> list[tuple[Column, str]]:
        """The columns whose texts are written like this one, which no row looked at holds."""
        shape = shape_of(text)
        if shape in ("9", "a"):
            return []
        return [(column, text) for column in self.profile.columns if shape in column.shapes]

    def _index(self) -> TrigramIndex:
        if self._trigrams is None:
            self._trigrams = TrigramIndex(self.profile.value_index)
        return self._trigrams

    def _initials(self) -> dict[str, list[tuple[Column, str]]]:
        """Values of several words by their first letters: LA."""
        if self._by_initials is None:
            found: dict[str, list[tuple[Column, str]]] = {}
            for normal, held in self.profile.value_index.items():
                words = normal.split()
                if 2 <= len(words) <= 4:
                    initials = "".join(word[0] for word in words)
                    found.setdefault(initials, []).extend(held)
            self._by_initials = found
        return self._by_initials

    def _alike(self, text: str) -> list[tuple[Column, str]]:
        """Values that are written nearly so."""
        if text not in self._similar:
            index = self.profile.value_index
            words = len(text.split())
            near = [
                (value, score)
                for value, score in self._index().similar(text, FUZZY_LOOKED_AT_MIN)
                if score >= FUZZY_OTHER_WORDS_MIN
                or (score >= FUZZY_VALUE_MIN and len(value.split()) == words)
                or one_letter_off(text.lower(), value)
            ]
            best = near[0][1] if near else 0.0
            self._similar[text] = [
                pair for value, score in near[:5] if score >= best for pair in index[value]
            ]
        return self._similar[text]

    def _derived(self, word: str) -> list[tuple[Column, str]]:
        """Values that the word is made from, or that are made from it: cardiologists."""
        if len(word) < DERIVED_LENGTH_MIN or word in EVERYDAY or word.endswith(("ed", "ing")):
            return []
        return [
            pair
            for value, held in self._beginnings().get(word[:DERIVED_LENGTH_MIN], ())
            if _made_from(value, word)
            for pair in held
        ]

    def _beginnings(self) -> dict[str, list[tuple[str, list[tuple[Column, str]]]]]:
        """Values of one word by their first letters."""
        if self._by_beginning is None:
            found: dict[str, list[tuple[str, list[tuple[Column, str]]]]] = {}
            for normal, held in self.profile.value_index.items():
                if " " not in normal:
                    found.setdefault(normal[:DERIVED_LENGTH_MIN], []).append((normal, held))
            self._by_beginning = found
        return self._by_beginning

    def _containing(self, text: str) -> list[Column]:
        index = self.profile.value_index
        values = self._index().containing(text)
        return list(dict.fromkeys(column for value in values for column, _ in index[value]))


def _made_from(one: str, other: str) -> bool:
    """Whether two words begin alike, but for an ending: cardiology, cardiologist."""
    shared = int(DERIVED_SHARE * max(len(one), len(other)))
    return one[:shared] == other[:shared]


def _alone_in_column(held: Sequence[tuple[Column, str]]) -> list[tuple[Column, str]]:
    """Values of columns that hold no other of these."""
    columns = [column for column, _ in held]
    return [pair for pair in held if columns.count(pair[0]) == 1]


def _says_what_was_done(ref: Ref) -> bool:
    """Whether the names are those of dates and of yes-or-no columns alone: `paid`."""
    kinds = {column.kind for column, _ in ref.columns}
    return not ref.tables and kinds <= {Kind.DATE, Kind.BOOLEAN}


def _is_name(span: Sequence[Token]) -> bool:
    return any(token.capitalised for token in span[1:]) or (
        span[0].capitalised and (len(span) > 1 or span[0].text.isupper() or len(span[0].text) > 2)
    )


def _abbreviates(token: Token) -> bool:
    """Whether a word that is small otherwise is a name in capitals: US."""
    return token.text.isupper() and token.lemma in KNOWN_AS


def _all_names(span: Sequence[Token]) -> bool:
    """Whether a span looks like one name: `Boeing 737-800`, `San Franciso`."""
    return (
        span[0].capitalised
        and all(token.capitalised or token.text[0].isdigit() for token in span)
        and (len(span) > 1 or len(span[0].text) >= FUZZY_LENGTH_MIN)
    )


def _best(found: list[tuple[T, float]]) -> list[tuple[T, float]]:
    top = max((score for _, score in found), default=0.0)
    if top < THRESHOLD:
        return []
    kept = [pair for pair in found if pair[1] >= max(THRESHOLD, top - KEEP_WITHIN)]
    return sorted(kept, key=lambda pair: -pair[1])
