"""The words of a question as the schema writes them: spelt, joined and split as its names are."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

from mcp_server.nl2sql.linking.held import mistyped
from mcp_server.nl2sql.linking.other_words import NAMED, SURELY, OtherWords
from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.words.abbreviations import USUAL
from mcp_server.nl2sql.words.lexicon import (
    COMPARATIVES,
    EVERYDAY,
    FILLER,
    HOW,
    IDLE,
    LIMITING,
    MEASURED,
    RELATING,
    SUPERLATIVES,
)
from mcp_server.nl2sql.words.tokens import (
    Mark,
    Token,
    identifier_words,
    normal_text,
    stem,
    tokenize,
)
from mcp_server.nl2sql.words.trigrams import one_letter_off

LONG = 6
"""A shorter word is like too many others."""
KNOWN = 0.6
"""A word that fits a name better than this is no misspelling of another."""
SPAN_MAX = 6
"""A text of a column is looked up by so many words at most."""
VERBS = frozenset({"show", "work"})
"""Verbs of questions that are nouns as well."""
KINDS = frozenset({"type", "kind", "category", "sort", "class"})
ACTING = frozenset({"that", "which", "who", "it", "to"})
ARTICLES = frozenset({"a", "an", "the", "each", "every", "any", "no", "this", "per", "of"})
BEFORE_NAME = frozenset({"the", "and", "be", "a", "all", "show", "list", "find", "give", "return"})
OF_WITHIN = 9
"""So many words behind a `name` may say whose it is."""
TIMES = frozenset({"time", "duration", "length"})
UNITS_OF_TIME = frozenset(
    {"second", "minute", "hour", "sec", "min", "hr", "millisecond", "ms", "seconds", "minutes",
     "hours", "secs", "mins", "hrs", "milliseconds", "s", "h"}
)  # fmt: skip
"""Last words of columns that say how long something took."""
SUPERIORS = frozenset({"manager", "mgr", "supervisor", "boss", "superior", "lead", "report"})
"""Words of columns that say to whom somebody reports."""

_OF_QUESTIONS = LIMITING | IDLE | RELATING | FILLER | COMPARATIVES.keys() | SUPERLATIVES.keys()
"""Words that are spelt as they are meant, though a name may be like them."""

Matches: TypeAlias = Callable[[tuple[str, ...]], Sequence[tuple[Any, float]]]


class Wording:
    """The wording of one database. columns, tables: what words name there, with scores 0..1."""

    def __init__(self, profile: Profile, columns: Matches, tables: Matches) -> None:
        self._profile = profile
        self._columns = columns
        self._tables = tables
        self._column_names = {column.words for column in profile.columns}
        self._names = self._column_names | {table.words for table in profile.tables}
        self._words = {w for words in self._names for w in words if len(w) >= LONG}
        self._told = {w for words in _told(profile) for w in words if len(w) >= LONG}
        """Words of what comments call tables and columns."""
        self._pairs = {words[at : at + 2] for words in self._names for at in range(len(words))}
        self._flags = {w for c in profile.columns if c.kind is Kind.BOOLEAN for w in c.words}
        """Words of columns that say yes or no."""
        self._superior = next(
            (word for c in profile.columns if c.within for word in c.words if word in SUPERIORS), ""
        )
        self._respellings: dict[str, str] = {}
        self._other_words = OtherWords(profile, self._named)

    def prepare(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with quoted text taken apart where it is a name of the schema, or the first
        and last name of somebody; names that are written with a hyphen or misspelled by a letter as
        the schema has them; words and phrases that one word of the schema stands for as that word;
        a noun repeated that two names share (`branch and member id`); and `report to` as the column
        of superiors; `how long is` as a name for lengths; times by their units; and kinds to count
        as different ones.
        """
        tokens = self._other_words.phrased(self._nouns(self._measured(tokens)))
        prepared = [each for token in tokens for each in self._prepared(token)]
        renamed = self._timed(self._other_words.renamed(prepared))
        return self._kinds(self._reports(self._shared(self._called(renamed))))

    def _kinds(self, tokens: list[Token]) -> list[Token]:
        """`How many types of tool` are there: different ones, where a column says the type."""
        found = list(tokens)
        for at in range(len(tokens) - 5, -1, -1):
            lemmas = [token.lemma for token in tokens[at : at + 5]]
            if lemmas[:2] not in (["how", "many"], ["number", "of"]) or lemmas[3] != "of":
                continue
            kind, thing = lemmas[2], lemmas[4]
            if kind in KINDS and not self._called_so(self._tables((thing, kind))):
                tables = self._called_so(self._tables((thing,)))
                named = self._called_so(self._columns((kind,)))
                if any(column.table in tables for column in named):
                    found.insert(at + 2, Token("different", "different", Mark.WORD))
        return found

    @staticmethod
    def _called_so(found: Sequence[tuple[Any, float]]) -> list[Any]:
        return [each for each, score in found if score >= SURELY]

    def _called(self, tokens: list[Token]) -> list[Token]:
        """`The name and the year of the song`, where there is a song name, is that and the year.

        Where rows are songs, their name is that of the row.
        """
        found = list(tokens)
        for at in range(len(tokens) - 2, -1, -1):
            if tokens[at].lemma != "name" or (at and tokens[at - 1].lemma not in BEFORE_NAME):
                continue
            thing = self._thing_of(tokens[at + 1 : at + OF_WITHIN])
            if thing and (thing.lemma, "name") in self._column_names:
                found.insert(at, thing)
        return found

    def _thing_of(self, tokens: Sequence[Token]) -> Token | None:
        """What an `of` or a `for` is about, unless it is called as a table is."""
        behind = next((n for n, token in enumerate(tokens) if token.lemma in ("of", "for")), None)
        if behind is None:
            return None
        nouns = (each for each in tokens[behind + 1 :] if each.lemma not in ARTICLES | {"all"})
        thing = next(nouns, None)
        tables = self._tables((thing.lemma,)) if thing is not None else ()
        return None if any(score >= SURELY for _, score in tables) else thing

    def _timed(self, tokens: list[Token]) -> list[Token]:
        """`Talk time`, where a column has it in seconds, as `talk seconds`."""
        found = list(tokens)
        for at, (word, time) in enumerate(pairwise(tokens)):
            if time.lemma not in TIMES or word.mark is not Mark.WORD:
                continue
            said = {word.lemma, stem(word.lemma)}
            known = any(
                names[-1] in TIMES and said & {*names, *map(stem, names)}
                for names in self._names
                if names
            )
            units = {
                names[-1]
                for names in self._column_names
                if names[-1:]
                and names[-1] in UNITS_OF_TIME
                and said & {names[0], stem(names[0])}
                and len(names) == 2
            }
            if not known and len(units) == 1:
                unit = units.pop()
                found[at + 1] = replace(time, text=unit, lemma=unit)
        return found

    def _nouns(self, tokens: Sequence[Token]) -> list[Token]:
        """`The shows of each stadium` are things, and nothing to do: `shows` is no small word."""
        found = list(tokens)
        for at, token in enumerate(tokens[1:], start=1):
            before, said = tokens[at - 1].lemma, token.text.lower()
            several = said != token.lemma and before not in ACTING
            acts = token.lemma not in VERBS or said not in (token.lemma, f"{token.lemma}s")
            if not acts and (several or before in ARTICLES):
                found[at] = replace(token, lemma=f"{token.lemma}s")
        return found

    def _measured(self, tokens: Sequence[Token]) -> list[Token]:
        """`How long is the pier` asks for what a column of lengths says: `how-long of the pier`."""
        found = list(tokens)
        for at in range(len(tokens) - 3, -1, -1):
            how, adjective, verb = tokens[at : at + 3]
            if (how.lemma, verb.lemma) != ("how", "be") or adjective.lemma not in MEASURED:
                continue
            if adjective.lemma == "much" and not self._is_value(tokens[at + 3 :]):
                continue  # how much the total is
            if self._named(HOW + adjective.lemma) > 0:
                text = HOW + adjective.text
                said = Token(text, HOW + adjective.lemma, Mark.WORD)
                found[at : at + 3] = [said, Token("of", "of", Mark.WORD)]
        return found

    def _is_value(self, tokens: Sequence[Token]) -> bool:
        """Whether a text that a column holds comes next."""
        texts = [token.text for token in tokens if token.lemma not in ("the", "a", "an")]
        spans = (" ".join(texts[:length]) for length in range(1, SPAN_MAX))
        return any(normal_text(text) in self._profile.value_index for text in spans)

    def _reports(self, tokens: list[Token]) -> list[Token]:
        """`Reports to Ann` where a column says who is the manager of whom."""
        for at in range(len(tokens) - 2, -1, -1):
            said = stem(tokens[at].lemma), tokens[at + 1].lemma
            if said == ("report", "to") and self._superior:
                tokens[at : at + 2] = tokenize(self._superior)
        return tokens

    def _prepared(self, token: Token) -> Sequence[Token]:
        if token.mark is Mark.QUOTED:
            return self._unquoted(token)
        if token.mark is not Mark.WORD:
            return [token]
        if "-" in token.text:
            return self._unhyphened(token)
        if token.lemma.startswith(("un", "in")) and token.lemma[2:] in self._flags:  # unpaid
            return [Token("not", "not", Mark.WORD), *tokenize(token.lemma[2:])]
        if re.fullmatch(r"[A-Za-z]+\d+", token.text):
            return self._numbered(token)
        if token.text in USUAL and token.lemma not in self._profile.value_index:
            return [replace(token, lemma=USUAL[token.text])]
        return [self._respelled(token) if len(token.lemma) >= LONG else token]

    def _named(self, *words: str) -> float:
        """How well the words name a column or a table."""
        found = (*self._columns(words), *self._tables(words))
        return max((score for _, score in found), default=0.0)

    def _shared(self, tokens: Sequence[Token]) -> list[Token]:
        """`Branch and member id` is two names where there are a branch id and a member id."""
        found = list(tokens)
        for at in range(len(tokens) - 4, -1, -1):
            one, joint, other, noun = tokens[at : at + 4]
            if joint.lemma != "and" or noun.mark is not Mark.WORD:
                continue
            whole = (one.lemma, noun.lemma), (other.lemma, noun.lemma)
            columns = {column.words for words in whole for column, _ in self._columns(words)}
            if columns.issuperset(whole) and (one.lemma,) not in self._column_names:
                found.insert(at + 1, noun)
        return found

    def _unhyphened(self, token: Token) -> list[Token]:
        """`first-grade` is two words where one of them names a column or a table."""
        if token.lemma in self._profile.value_index:
            return [token]
        parts = tokenize(token.text.replace("-", " "))
        return parts if any(self._named(part.lemma) >= NAMED for part in parts) else [token]

    def _unquoted(self, token: Token) -> list[Token]:
        if token.lemma in self._profile.value_index:
            return [token]
        parts = tokenize(token.text)
        if len(parts) > 1 and self._named(*(part.lemma for part in parts)) >= NAMED:
            return parts
        return parts if len(parts) == 2 and self._one_row(parts) else [token]

    def _numbered(self, token: Token) -> list[Token]:
        """`line2` is two words where a name has it as two."""
        parts = identifier_words(token.text)
        if parts not in self._pairs:
            return [token]
        return [part for word in parts for part in tokenize(word)]

    def _respelled(self, token: Token) -> Token:
        """The token with the lemma of a name that it misspells by one letter."""
        word = token.lemma
        if word not in self._respellings:
            self._respellings[word] = self._spelling(word, normal_text(token.text))
        return replace(token, lemma=self._respellings[word])

    def _spelling(self, word: str, text: str) -> str:
        known = word in EVERYDAY or word in self._words or text in self._profile.value_index
        if known or self._named(word) >= KNOWN:
            return word
        close = [other for other in self._words if one_letter_off(word, other)]
        if not close and word not in _OF_QUESTIONS:
            # a painter is no misspelt printer: a letter is missing, or out of its place
            close = [other for other in self._told if mistyped(word, other)]
            named = (c for c in EVERYDAY if mistyped(word, c) and self._named(c) >= KNOWN)
            close = close or list(named)
        return close[0] if len(close) == 1 else word

    def _one_row(self, parts: Sequence[Token]) -> bool:
        """Whether each word is a value of another column of one table."""
        index = self._profile.value_index
        first, last = ({c for c, _ in index.get(normal_text(part.text), ())} for part in parts)
        return any(one.table is other.table and one is not other for one in first for other in last)


def _told(profile: Profile) -> Iterator[tuple[str, ...]]:
    comments = [table.comment for table in profile.tables]
    comments += [column.comment for column in profile.columns]
    return (identifier_words(comment) for comment in comments if comment)
