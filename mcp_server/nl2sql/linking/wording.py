"""The words of a question as the schema writes them: spelt, joined and split as its names are."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.words.lexicon import EVERYDAY, HOW, MEASURED
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
NAMED = 0.95
SUPERIORS = frozenset({"manager", "mgr", "supervisor", "boss", "superior", "lead", "report"})
"""Words of columns that say to whom somebody reports."""

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
        self._pairs = {words[at : at + 2] for words in self._names for at in range(len(words))}
        self._flags = {w for c in profile.columns if c.kind is Kind.BOOLEAN for w in c.words}
        """Words of columns that say yes or no."""
        self._superior = next(
            (word for c in profile.columns if c.within for word in c.words if word in SUPERIORS), ""
        )
        self._respellings: dict[str, str] = {}

    def prepare(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with quoted text taken apart where it is a name of the schema, or the first
        and last name of somebody; names that are written with a hyphen or misspelled by a letter as
        the schema has them; a noun repeated that two names share (`branch and member id`); and
        `report to` as the column of superiors; and `how long is` as a name for lengths.
        """
        prepared = [each for token in self._measured(tokens) for each in self._prepared(token)]
        return self._reports(self._shared(prepared))

    def _measured(self, tokens: Sequence[Token]) -> list[Token]:
        """`How long is the pier` asks for what a column of lengths says: `how-long of the pier`."""
        found = list(tokens)
        for at in range(len(tokens) - 3, -1, -1):
            how, adjective, verb = tokens[at : at + 3]
            if (how.lemma, verb.lemma) != ("how", "be") or adjective.lemma not in MEASURED:
                continue
            if self._named(HOW + adjective.lemma) > 0:
                text = HOW + adjective.text
                said = Token(text, HOW + adjective.lemma, Mark.WORD)
                found[at : at + 3] = [said, Token("of", "of", Mark.WORD)]
        return found

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
        return close[0] if len(close) == 1 else word

    def _one_row(self, parts: Sequence[Token]) -> bool:
        """Whether each word is a value of another column of one table."""
        index = self._profile.value_index
        first, last = ({c for c, _ in index.get(normal_text(part.text), ())} for part in parts)
        return any(one.table is other.table and one is not other for one in first for other in last)
