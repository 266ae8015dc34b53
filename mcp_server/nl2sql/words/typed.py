"""Words as people type them: `u`, `whats`, `mnay`, and what they are in print.

What the database calls or holds stays as it is, and so does what stands before a letter, a sign or
an accent of the same word: the `u` of *u.s.*, the `r` of *r&d*.
"""

import re
from typing import Protocol

from mcp_server.nl2sql.words.abbreviations import skeleton
from mcp_server.nl2sql.words.lexicon import EVERYDAY, FILLER, POLITE, STOP, SUPERLATIVES
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, lemma
from mcp_server.nl2sql.words.trigrams import one_letter_off


class Known(Protocol):
    """What a database says."""

    def says(self, word: str, /) -> bool:
        """Whether a word is of a name, or a text that the database holds."""

    def holds(self, text: str, /) -> bool:
        """Whether a text that the database holds has these words in it."""

    def shows(self, word: str, /) -> bool:
        """Whether a word names a column that may be shown for what rows are like."""


_PART = r"\w'’@/&#+\u0300-\u036f-"
_WORD = re.compile(rf"(?<![{_PART}])(?<![{_PART}]\.)(?:[a-z]+|\A[A-Z][a-z]+)(?![{_PART}]|\.\w)")
_NEXT = re.compile(r"[ ,]*([\w'’]+)")
_LAST = re.compile(r"([\w'’]+)[ ,]*\Z")

SHORT = {
    "u": "you", "ur": "your", "r": "are", "pls": "please", "plz": "please", "plse": "please",
    "thx": "thanks", "gimme": "give me", "lemme": "let me", "wanna": "want to", "ppl": "people",
    "im": "i am", "ive": "i have", "whats": "what is", "whos": "who is", "wheres": "where is",
    "hrs": "hours", "secs": "seconds", "mins": "minutes", "avg": "average", "qty": "quantity",
    "thats": "that is", "theres": "there is", "hows": "how", "cant": "can not", "wont": "will not",
    **{f"{verb}nt": f"{verb} not" for verb in (
        "are", "is", "do", "does", "did", "have", "has", "had", "was", "were", "would", "could",
        "should",
    )},
}  # fmt: skip
_ASKING = """
    which what where when show list give many much number count average total highest lowest largest
    smallest biggest longest shortest cheapest oldest newest latest earliest between without before
    after than more less most least every each order sorted group percentage percent there their
    have please people name names with from that about
"""
ASKING = frozenset(_ASKING.split())
_REAL = """
    east form forms here hose lease tree eath moth wit bless bout bouts eery moore pease pleas
    thee
"""
REAL = frozenset(_REAL.split())
"""Words of their own, however near they are to one of these."""

KNOWN = ASKING.union(REAL, STOP, POLITE, FILLER, EVERYDAY, SUPERLATIVES, NUMBER_WORDS)

VOWELS_FROM = 6
"""In a word of so many letters, a vowel may stand for another one: `avarage`."""

_WITH_YOU = "can could do did if will would should have show give list tell find get need want see"
WITH_YOU = frozenset(_WITH_YOU.split())
_BEFORE_ARE = "what which who where how there they we you u that these those people children"
BEFORE_ARE = frozenset(_BEFORE_ARE.split())
_NAMING = "named called titled labelled labeled mr mrs ms dr"
NAMING = frozenset(_NAMING.split())
"""What stands before a name."""


def spelt(text: str, known: Known) -> str:
    """A text without quotes, its words as they are spelt."""

    def printed(match: re.Match[str]) -> str:
        before, after = _LAST.search(text[: match.start()]), _NEXT.match(text, match.end())
        return _printed(
            match[0], before[1].lower() if before else "", after[1].lower() if after else "", known
        )

    return _WORD.sub(printed, text)


def _printed(word: str, before: str, after: str, known: Known) -> str:
    if before in NAMING:
        return word
    small = word.lower()
    if small in SHORT:
        fits = _fits(small, before, after) and not known.says(small)
        held = known.holds(f"{before} {small}".strip()) if before else False
        held = held or bool(after and known.holds(f"{small} {after}"))
        return SHORT[small] if fits and not held else word
    if len(small) < 4 or {small, lemma(small)} & KNOWN:
        return word
    meant = [other for other in sorted(ASKING) if len(other) > 3 and _misspells(small, other)]
    if len(meant) != 1 or known.says(small) or known.holds(small):
        return word
    return meant[0]


def _fits(short: str, before: str, after: str) -> bool:
    """Whether a few letters stand for a word where they are: they may be no more than letters."""
    if short == "u":
        return before in WITH_YOU or after in WITH_YOU
    if short == "r":
        return before in BEFORE_ARE or (before.endswith("s") and bool(after))
    return short not in ("im", "ive") or before in ("", "and", "that", "if", "since")


def _misspells(word: str, other: str) -> bool:
    """Whether a letter is missing, or said twice, or two have changed places, or a vowel is
    another one.
    """
    if not one_letter_off(word, other):
        return False
    if len(word) == len(other):
        swapped = sorted(word) == sorted(other)
        return swapped or (len(word) >= VOWELS_FROM and skeleton(word) == skeleton(other))
    doubled = any(word[at] == word[at - 1] for at in range(1, len(word)))
    return len(word) < len(other) or doubled
