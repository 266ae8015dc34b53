"""Which words of a question name which tables, columns and values, and how sure that is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mcp_server.nl2sql.linking.held import HeldValues
from mcp_server.nl2sql.linking.matching import (
    CODES,
    SURELY,
    VIEWED,
    ColumnScores,
    head_words,
    name_match,
)
from mcp_server.nl2sql.linking.near import NearNames
from mcp_server.nl2sql.linking.states import States
from mcp_server.nl2sql.linking.wording import Wording
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.words.lexicon import (
    EVERYDAY,
    IDLE,
    NOISE_IN_TABLE_NAMES,
    NOUNS_IN_STOP,
    RELATING,
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

T = TypeVar("T")

_DIRECTIONS = frozenset(
    {"ascending", "descending", "alphabetical", "alphabetic", "increasing", "decreasing", "in",
     "lexicographic", "lexicographical", "chronological", "reverse", "asc", "desc"}
)  # fmt: skip
_APART = frozenset({Mark.PUNCTUATION, Mark.QUOTED, Mark.DATE, Mark.SIGN})
_VERBS = frozenset(
    {"count", "list", "name", "state", "order", "sort", "number", "rank", "report", "show"}
)
_BIDDING = frozenset({"please", "pls", "you", "to", "and", "then", "also", "now"})
"""What a verb that says what to do may stand behind."""
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
IN_A_ROLE = 0.9
"""Of what the keys of several tables call the rows of a table: its rows are that."""
COUNTED_WELL = 0.8
"""The `number of goods` is a column for the number of products, where nothing is called so."""
DERIVED = 0.97
"""As VIEWED, for a column that would have to be computed."""
PART = 0.92
"""Of the items of an order, which are called order items; better than any other word for items."""
FUZZY_LENGTH_MIN = 6
"""A shorter word is like too many others."""


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
        """The score of the best column, which is the first; 0 without one."""
        return self.columns[0][1] if self.columns else 0.0

    @property
    def best_table(self) -> float:
        """The score of the best table, which is the first; 0 without one."""
        return self.tables[0][1] if self.tables else 0.0


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
        self._parts = {
            key.column.table
            for key in profile.foreign_keys
            if len(key.column.table.words) > 1
            and key.column.table.words[:-1] == key.target.table.words
        }
        """What the rows of another table are made of: the items of an order."""
        self._held = HeldValues(profile.value_index)
        self.has_dates = any(column.kind is Kind.DATE for column in profile.columns)
        self.has_years = self.has_dates or any(column.year_like for column in profile.columns)
        self._columns: dict[tuple[str, ...], list[tuple[Column, float]]] = {}
        self._tables: dict[tuple[str, ...], list[tuple[Table, float]]] = {}
        self._roles = _roles(profile)
        self._scores = ColumnScores([*profile.columns, *profile.derived])
        self._near_columns = NearNames((c, _words_of(c)) for c in profile.columns)
        self._near_derived = NearNames((c, _words_of(c)) for c in profile.derived)
        self._near_tables = NearNames(
            (table, (*table.words, *head_words(table.comment or ""))) for table in profile.tables
        )
        self._wording = Wording(profile, self.columns, self.tables)
        self.states = States(profile, self.tables, self.columns)

    def prepare(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens as the schema would write them; see `wording`."""
        return self._wording.prepare(tokens)

    def columns(self, words: tuple[str, ...]) -> list[tuple[Column, float]]:
        """The columns that words may mean, with scores."""
        if words not in self._columns:
            found = self._scores(words, self._near_columns(words))
            computed = [
                c
                for c in self._near_derived(words)
                if not (c.kind is Kind.BOOLEAN and words[0] in SUPERLATIVES)  # `latest` is not late
                and not (words[-1] == "date" and c.lasts)  # a day is not how long it took
            ]
            found += [
                (c, score if c.measured else DERIVED * score)
                for c, score in self._scores(words, computed)
                if score >= SURELY
            ]
            self._columns[words] = _best(found)
        return self._columns[words]

    def tables(self, words: tuple[str, ...]) -> list[tuple[Table, float]]:
        """The tables that words may mean, with scores."""
        if words not in self._tables:
            role = self._roles.get(words)
            near = self._near_tables(words)
            near += [role] if role is not None and role not in near else []
            found = [(table, self._table_score(words, table)) for table in near]
            if len(words) > 1 and words[-1].endswith("ed"):  # issues *labelled* so: no labels
                found = [(t, s) for t, s in found if t.words[-1:] == words[-1:]]
            self._tables[words] = _best(found)
        return self._tables[words]

    def _name_a_table(self, words: tuple[str, ...]) -> bool:
        return any(score >= NAMED_TABLE for _, score in self.tables(words))

    def _table_score(self, words: tuple[str, ...], table: Table) -> float:
        own = tuple(word for word in table.words if word not in NOISE_IN_TABLE_NAMES)
        if len(words) == 1 < len(own) and words[0] in IDLE & RELATING:
            return 0.0  # sales that were *made* are no payments made
        score = name_match(words, own or table.words)
        if len(own) > len(words) and words == own[: len(words)]:
            score = max(score, 0.7)
        if table in self._parts and words == table.words[-1:]:
            score = max(score, PART)
        if self._roles.get(words) is table:
            score = max(score, IN_A_ROLE)
        if table.comment and (told := name_match(words, head_words(table.comment))) >= SURELY:
            score = max(score, 0.9 * told)
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
            partly = [] if values else self._held.containing(text)
            return Ref(start, end, text, values=values, partly=partly, score=3.0)
        if any(token.mark in _APART for token in span):
            return None
        following = tokens[end].lemma if end < len(tokens) else ""
        before = [t.lemma for t in tokens[:start] if t.lemma not in ("of", "the")][-1:]
        measured = bool(_CALCULATING & set(before)) and self._is_column(span)
        counting = len(span) == 1 and span[0].lemma in _COUNTING and following in ("of", "be")
        if counting and not measured:
            return None  # "number of X" counts
        if len(span) == 1 and span[0].lemma in ("first", "last") and following not in ("and", ","):
            return None
        ordering = start and tokens[start - 1].lemma in _DIRECTIONS
        numbered = end < len(tokens) and tokens[end].mark is Mark.NUMBER  # what is in order 7
        if len(span) == 1 and span[0].lemma == "order" and ordering and not numbered:
            return None
        if len(span) == 1 and start == 0 and span[0].text.lower() in _VERBS:
            return None  # what to do, and not a column
        if span[0].text.lower() == "show" and tokens[start - 1].lemma in _BIDDING:
            return None
        if span[0].lemma in _CALCULATING and (len(span) == 1) and following and not measured:
            return None
        if span[0].text.lower() == "weighted" and not self._is_column(span):
            return None  # an average by weights, and no weight
        ref = Ref(start, end, text)
        length = len(span)
        words = tuple(token.lemma for token in span)
        edges = span[0].lemma in STOP or span[-1].lemma in STOP
        if words in self._small:
            edges = False
        if not edges and not all(token.mark is Mark.NUMBER for token in span):
            inner = {word for word in words if word in STOP and words not in self._small}
            counted = length == 3 and words[0] in _COUNTING and words[1] == "of"
            told_by = "by" in inner or ("per" in inner and self._name_a_table(words[:1]))
            ref.columns = [
                pair
                for pair in self.columns(words)
                if not inner
                or inner <= set(pair[0].words)
                or (
                    "and" not in inner
                    and not told_by
                    and pair[1] >= 0.95
                    and not self._name_a_table(words[-1:])
                )
                or (counted and pair[1] >= COUNTED_WELL and not self._name_a_table(words[-1:]))
            ]
            if words[0] in _COUNTING and length > 2 and words[1] == "of":
                ref.columns = [p for p in ref.columns if _COUNTED[words[0]] & set(p[0].words)]
            ref.tables = self.tables(words) if not inner else []
        values = [] if self._row_of_a_table(span) else self._values(span, text)
        named = max(ref.best_column, ref.best_table)
        exact = normal_text(text) in self.profile.value_index
        best = SURELY if exact else 0.85  # *paid* orders have that status, and no salary
        if values and (named < best or _is_name(span) or _says_what_was_done(ref)):
            ref.values = values
        if length > 1 and named < 0.85 and not ref.values and self._hides_a_table(ref, words):
            return None
        content = sum(t.lemma not in STOP or self._abbreviates(t) for t in span)
        content = content or bool(ref.values) or words in self._small
        score = named if named >= THRESHOLD else 0.0
        if ref.values:
            sure = 0.95 if _is_name(span) or length > 1 else 0.75
            score = max(score, sure)
        if not score:
            return None
        ref.score = score * content + 0.12 * (length - 1) * (score >= 0.85)
        return ref

    def _hides_a_table(self, ref: Ref, words: Sequence[str]) -> bool:
        """Whether a span is only like the comment on a column, and a word of it names a table:
        *restaurants serve*, of the food that is served at a restaurant.
        """
        own = {word for column, _ in ref.columns for word in column.words}
        return any(word not in own and self._name_a_table((word,)) for word in words)

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

    def _abbreviates(self, token: Token) -> bool:
        """Whether a word that is small otherwise is a name in capitals: US, the IT department."""
        if not token.text.isupper() or len(token.text) < 2:
            return False
        held = self.profile.value_index.get(token.text.lower(), ())
        return token.lemma in KNOWN_AS or any(value == token.text for _, value in held)

    def _is_column(self, span: Sequence[Token]) -> bool:
        """Whether a span is the whole name of a column of numbers: the total *amount* of sales."""
        words = tuple(token.lemma for token in span)
        return any(c.words == words and c.counts for c in self.profile.columns)

    def _values(self, span: Sequence[Token], text: str) -> list[tuple[Column, str]]:
        if len(span) == 1 and (
            (span[0].lemma in STOP and not self._abbreviates(span[0]) and text != "May")
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
            found = _alone_in_column(self._held.by_initials(text.lower()))
        if not found and len(span) == 1 and len(text) > 2:
            plural = f"{text[:-1]}ie" if text.endswith("y") and text[-2] not in "aeiou" else text
            found = index.get(f"{normal_text(plural)}s", [])  # the cheapest *toy*, of the kind toys
        if not found and len(span) == 1:
            found = self._shaped(text)
        if not found and _all_names(span):
            found = self._held.alike(text)
        if not found and len(span) == 1:
            found = self._held.derived(span[0].lemma) or self._misspelt(span[0])
        short = len(text) <= 2 and text.isascii() and not text.isupper()
        return [] if short else found

    def _misspelt(self, token: Token) -> list[tuple[Column, str]]:
        """The value that a word was meant to be, of which nobody knows what else it is."""
        words = (token.lemma,)
        known = token.lemma in STOP or token.lemma in EVERYDAY or token.lemma in SUPERLATIVES
        if known or self.columns(words) or self.tables(words):
            return []
        return self._held.misspelt(token.text.lower())

    def _quoted(self, text: str) -> list[tuple[Column, str]]:
        held = self.profile.value_index.get(normal_text(text))
        return held or self._shaped(text) or self._held.alike(text)

    def _shaped(self, text: str) -> list[tuple[Column, str]]:
        """The columns whose texts are written like this one, which no row looked at holds."""
        shape = shape_of(text)
        if shape in ("9", "a"):
            return []
        return [(column, text) for column in self.profile.columns if shape in column.shapes]


def _words_of(column: Column) -> Iterator[str]:
    """All words by which a column may be told."""
    yield from column.words
    yield from column.table.words
    yield from (word for alias in column.aliases for word in alias)
    yield from identifier_words(column.comment) if column.comment else ()


def _roles(profile: Profile) -> dict[tuple[str, ...], Table]:
    """What keys of two tables or more call the rows that they refer to, all of one table: `student`
    where student ids are those of people.
    """
    called: dict[tuple[str, ...], set[Table]] = {}
    users: dict[tuple[str, ...], set[Table]] = {}
    for key in profile.foreign_keys:
        words = tuple(word for word in key.column.words if word not in (*CODES, "id"))
        called.setdefault(words, set()).add(key.target.table)
        users.setdefault(words, set()).add(key.column.table)
    named = {table.words for table in profile.tables}
    return {
        words: next(iter(tables))
        for words, tables in called.items()
        if words and words not in named and len(tables) == 1 and len(users[words]) > 1
    }


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
