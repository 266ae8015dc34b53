"""Words of a question that no name of the schema has, as the words of names that stand for them.

By the lexicon's families of words (`related`, `synonyms`) and its phrases, and only where one word
of the schema's names stands for a word: where several do, the scores of `linking` decide.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from mcp_server.nl2sql.schema.model import Profile
from mcp_server.nl2sql.words.lexicon import (
    COMPARATIVES,
    EVERYDAY,
    IDLE,
    LIMITING,
    PHRASES,
    RELATING,
    STOP,
    SUPERLATIVES,
    related,
    synonyms,
)
from mcp_server.nl2sql.words.tokens import Mark, Token, lemma, normal_text

NAMED = 0.95
SURELY = 0.9
OF_FORM = frozenset(
    {"number", "count", "amount", "quantity", "total", "average", "mean", "maximum", "minimum",
     "percentage", "share", "ratio", "proportion", "fraction", "sum", "difference", "time", "day",
     "person", "individual", "record", "entry", "one"}
)  # fmt: skip
"""Words that say what to compute, or stand for any row."""
STRUCTURAL = OF_FORM | STOP | LIMITING | SUPERLATIVES.keys() | COMPARATIVES.keys()
"""Words that are not put otherwise, and that no other word is put as."""
LITTLE = STRUCTURAL | RELATING | IDLE
"""Words that say little, and so are not put otherwise."""
VERBAL = re.compile(
    r"(?:[^e]ed|ing)$|^(?:spoke|spoken|wrote|written|sang|sung|built|made|sold|bought|won|lost|paid|"
    r"spent|taught|born|bore|died|held|led|left|drove|driven|flew|flown|lent|sent|acted|ran|got|"
    r"gave|given|took|taken|chose|chosen|grew|grown|known|hurt|began|begun)$"
)
"""Words for what was done."""
UNCALLED = frozenset({"name", "id", "code", "cd", "no", "yn", "key", "desc", "description"})
"""Words behind what a column is about."""
LONG = 5
"""A shorter word is within too many others."""
IDIOMS = frozenset(
    {("take", "place"), ("took", "place"), ("taken", "place"), ("taking", "place"),
     ("in", "term"), ("in", "charge"), ("in", "place"), ("in", "case"), ("in", "general"),
     ("in", "question"), ("in", "fact"), ("in", "order"), ("by", "hand"), ("on", "hand"),
     ("in", "hand"), ("at", "hand"), ("on", "board"), ("at", "present"), ("by", "mean"),
     ("on", "behalf"), ("in", "part"), ("in", "particular"), ("as", "part")}
)  # fmt: skip
"""Words that say something else together: what *takes place* is not where."""
PHRASE_MAX = max((len(phrase.split()) for phrase in PHRASES), default=1)
SPANS = (2, 3)
"""How many words of a question make a name of several."""


class OtherWords:
    """The words of one database's names. named: how well words name something there, 0..1."""

    def __init__(self, profile: Profile, named: Callable[..., float]) -> None:
        names = {column.words for column in profile.columns}
        names |= {table.words for table in profile.tables}
        self._values = profile.value_index
        self._named = named
        self._names = names
        self._words = {word for words in names for word in words}
        self._heads = {_head(words) for words in names}
        self._others: dict[str, str] = {}

    def phrased(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with phrases as the one word for it: `medical care` where the schema has
        treatments.
        """
        found = list[Token]()
        at = 0
        while at < len(tokens):
            length, name = self._phrase(tokens, at)
            said = " ".join(token.text for token in tokens[at : at + length])
            found.append(Token(said, name, Mark.WORD) if name else tokens[at])
            at += length
        return found

    def _phrase(self, tokens: Sequence[Token], at: int) -> tuple[int, str]:
        """How many tokens make a phrase that one word of the schema stands for, and that word."""
        for length in range(min(PHRASE_MAX, len(tokens) - at), 0, -1):
            span = tokens[at : at + length]
            words = " ".join(token.lemma for token in span).replace("-", " ").split()
            meant = PHRASES.get(" ".join(words), ())
            if span[0].mark is Mark.QUOTED or not meant or self._named(*words) >= NAMED:
                continue
            if {words[0], words[-1]} <= self._words:
                continue
            named = next((name for name in meant if name in self._words), "")
            if named and not (named in words and self._written(words, named)):
                return length, named
        return 1, ""

    def _written(self, words: Sequence[str], named: str) -> bool:
        """Whether a name has another word of a phrase too, if written as one with others: of the
        `official language`, where something is official, no word goes without saying.
        """
        others = [word for word in words if word != named and len(word) >= LONG]
        return any(name.endswith(word) for word in others for name in self._words)

    def renamed(self, tokens: Sequence[Token]) -> list[Token]:
        """The tokens with words that no name has as the words of names that stand for them.

        Not where the question says that word as well; and a word that only begins names, or stands
        for what was done, needs the rest of the name beside it: `leaving date`, the `head name`.
        """
        said = {token.lemma for token in tokens}
        pairs = zip(("", *(token.lemma for token in tokens)), tokens, strict=False)
        others = [
            "" if (before, token.lemma) in IDIOMS else self._other(token) for before, token in pairs
        ]
        lemmas = [word or token.lemma for word, token in zip(others, tokens, strict=True)]
        return [
            replace(token, lemma=word)
            if word and word not in said and (self._alone(token, word) or self._beside(lemmas, at))
            else token
            for at, (token, word) in enumerate(zip(tokens, others, strict=True))
        ]

    def _alone(self, token: Token, word: str) -> bool:
        """Whether a word may stand for a word of the schema by itself."""
        return word in self._heads and not VERBAL.search(token.text.lower())

    def _beside(self, lemmas: Sequence[str], at: int) -> bool:
        """Whether the words of a question beside one make a name with it."""
        starts = ((at - back, length) for length in SPANS for back in range(length))
        return any(
            self._named(*lemmas[start : start + length]) >= NAMED
            for start, length in starts
            if 0 <= start <= len(lemmas) - length
        )

    def _other(self, token: Token) -> str:
        """The one word of the schema's names that stands for a word which no name has; or none."""
        word = token.lemma
        if token.mark is not Mark.WORD:
            return ""
        if word not in self._others:
            self._others[word] = self._name_for(word, normal_text(token.text))
        return self._others[word]

    def _name_for(self, word: str, text: str) -> str:
        singular = lemma(word)
        if singular not in EVERYDAY or {word, singular} & self._words or word in LITTLE:
            return ""
        if text in self._values or self._named(word) >= SURELY:
            return ""
        alike = synonyms(singular)
        found = ((alike | related(singular)) & self._words) - STRUCTURAL
        whole = {other for other in found if (other,) in self._names}
        for others in (found, whole, whole & alike):
            if len(others) == 1:
                return next(iter(others))
        return ""


def _head(words: Sequence[str]) -> str:
    """What a name is about, its last word that says so: the manager of `manager name`."""
    return next((word for word in reversed(words) if word not in UNCALLED), words[-1])
