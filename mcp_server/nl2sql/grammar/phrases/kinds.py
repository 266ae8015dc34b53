"""The kinds of symbols that a question is a row of, and patterns over such rows.

A symbol has one letter for its kind, so that a question is a string and a phrase a regular
expression. Nothing but this module knows the letters: patterns are built from the names below.

    COL("c") + NOT("x").maybe + THAN("o") + AMOUNT("n")

is a column, perhaps a `not`, a comparison, and a number or a date; what stands in brackets is the
group by which the builder of the phrase finds the symbol.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """Symbols in a row. regex: the same as a regular expression over their letters.

    bound: whether what stands behind the regular expression applies to all of it.
    """

    regex: str
    bound: bool = False

    def __add__(self, other: "Pattern") -> "Pattern":
        """The one, and then the other."""
        return Pattern(self.regex + other.regex)

    def __call__(self, group: str) -> "Pattern":
        """The same as a named group."""
        return Pattern(f"(?P<{group}>{self.regex})", bound=True)

    @property
    def maybe(self) -> "Pattern":
        """The same, or nothing."""
        return self._repeated("?")

    @property
    def some(self) -> "Pattern":
        """One or more of it."""
        return self._repeated("+")

    @property
    def any(self) -> "Pattern":
        """None, one or more of it."""
        return self._repeated("*")

    def _repeated(self, how: str) -> "Pattern":
        return Pattern((self.regex if self.bound else f"(?:{self.regex})") + how)


class Kinds(Pattern):
    """One symbol of any of some kinds. letters: theirs."""

    __slots__ = ("letters",)
    letters: str

    def __init__(self, letters: str) -> None:
        super().__init__(f"[{letters}]" if len(letters) > 1 else re.escape(letters), bound=True)
        object.__setattr__(self, "letters", letters)

    def __or__(self, other: "Kinds") -> "Kinds":
        """A symbol of the one or of the other."""
        return Kinds(self.letters + other.letters)

    def __contains__(self, kind: str) -> bool:
        """Whether a symbol's kind is one of these."""
        return len(kind) == 1 and kind in self.letters


class Kind(Kinds):
    """A single kind of symbol."""

    __slots__ = ()

    @property
    def letter(self) -> str:
        """What a symbol of this kind has as its `kind`."""
        return self.letters


def either(*patterns: Pattern) -> Pattern:
    """Any of some patterns, tried in their order."""
    return Pattern(f"(?:{'|'.join(pattern.regex for pattern in patterns)})", bound=True)


def before(*patterns: Pattern) -> Pattern:
    """Nothing itself: the place before any of some patterns."""
    return Pattern(f"(?={'|'.join(pattern.regex for pattern in patterns)})")


def not_before(pattern: Pattern) -> Pattern:
    """Nothing itself: a place that is not before a pattern."""
    return Pattern(f"(?!{pattern.regex})")


# Names: what the schema and its values call so.
COLUMN = Kind("c")
TABLE = Kind("t")
COLUMN_OR_TABLE = Kind("b")
VALUE = Kind("v")
"""What a column holds."""
VALUE_OR_COLUMN = Kind("w")
VALUE_OR_TABLE = Kind("u")
VALUE_COLUMN_OR_TABLE = Kind("z")
QUOTED = Kind("q")
"""Quoted text that no column holds."""
NUMBER = Kind("n")
DATE = Kind("d")
WORD = Kind("_")
"""A word that says nothing the vocabulary knows."""

# Words of the vocabulary, which says which they are.
FILLER = Kind("-")
"""A word that never matters, and is left out."""
HOW_MANY = Kind("#")
HOW_OFTEN = Kind("m")
TIMES = Kind("x")
"""`times` behind a number."""
AGGREGATE = Kind("A")
"""`average`, `total`, `maximum`."""
MOST = Kind("S")
"""A superlative: `most`, `oldest`, `highest rated`."""
COMMONEST = Kind("M")
"""`most common`, `least often used`."""
THAN = Kind("O")
"""A comparison: `more than`, `at least`, `before`."""
OR_MORE = Kind("+")
"""A comparison behind its number: `or more`, `or earlier`."""
BETWEEN = Kind("K")
EACH = Kind("G")
"""`for each`, `per`, `grouped by`."""
DISTINCT = Kind("D")
NOT = Kind("X")
AND = Kind("&")
OR = Kind("|")
BUT = Kind("!")
BOTH = Kind("2")
HAVE = Kind("H")
SORTED = Kind("R")
"""`sorted by`, `in order of`."""
DIRECTION = Kind("Z")
"""`ascending`, `from high to low`."""
THAT = Kind("T")
"""`that`, `which`, `who`, `where`."""
WHOSE = Kind("W")
OF = Kind("o")
FOR = Kind("f")
BY = Kind("y")
IN = Kind("p")
"""A preposition of place or time, or `called`."""
LIKE = Kind("L")
"""`contains`, `starts with`, `ends with`."""
EMPTY = Kind("N")
"""`null`, `missing`, `unknown`."""
SAME = Kind("=")
SHARE = Kind("%")
"""`percentage of`."""
FULL_STOP = Kind(".")
"""A full stop, a semicolon, a colon or a question mark."""
COMMA = Kind(",")

# What a symbol may stand for.
COL = COLUMN | COLUMN_OR_TABLE | VALUE_OR_COLUMN | VALUE_COLUMN_OR_TABLE
"""Whatever may name a column."""
TAB = TABLE | COLUMN_OR_TABLE | VALUE_OR_TABLE | VALUE_COLUMN_OR_TABLE
"""Whatever may name a table."""
VAL = VALUE | VALUE_OR_COLUMN | VALUE_OR_TABLE | VALUE_COLUMN_OR_TABLE | QUOTED
"""Whatever may be a value."""
NAME = COLUMN | TABLE | COLUMN_OR_TABLE | VALUE_OR_COLUMN | VALUE_OR_TABLE | VALUE_COLUMN_OR_TABLE
"""Whatever may name a column or a table."""
TEXT = VAL | COLUMN | TABLE | COLUMN_OR_TABLE | WORD
"""Whatever may be text that a value is to contain."""
AMOUNT = NUMBER | DATE
FIGURE = AGGREGATE | MOST
"""What makes one number of many: `average`, `highest`."""

# What leads from one thing to another.
PREPOSITION = IN | OF | FOR | BY
LEADING = THAT | HAVE | WHOSE | PREPOSITION
"""Words before a phrase that say of what it is told."""
BINDING = THAT | WHOSE | HAVE | IN | WORD
"""Words between a column and what is said of it."""
LISTING = COMMA | AND
"""What stands between the items of a list."""
LISTING_OR = COMMA | AND | OR

NOTHING = Pattern("")
LAST = Pattern("$")
"""The end of the question."""
END = before(FULL_STOP, LAST)
"""The place before a full stop, or the end of the question."""
