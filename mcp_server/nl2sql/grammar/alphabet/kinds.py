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


class SymbolKind(Kinds):
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
COLUMN = SymbolKind("c")
TABLE = SymbolKind("t")
COLUMN_OR_TABLE = SymbolKind("b")
VALUE = SymbolKind("v")
"""What a column holds."""
VALUE_OR_COLUMN = SymbolKind("w")
VALUE_OR_TABLE = SymbolKind("u")
VALUE_COLUMN_OR_TABLE = SymbolKind("z")
QUOTED = SymbolKind("q")
"""Quoted text that no column holds."""
NUMBER = SymbolKind("n")
DATE = SymbolKind("d")
WORD = SymbolKind("_")
"""A word that says nothing the vocabulary knows."""

# Words of the vocabulary, which says which they are.
FILLER = SymbolKind("-")
"""A word that never matters, and is left out."""
HOW_MANY = SymbolKind("#")
HOW_OFTEN = SymbolKind("m")
TIMES = SymbolKind("x")
"""`times` behind a number."""
AGGREGATE = SymbolKind("A")
"""`average`, `total`, `maximum`."""
MOST = SymbolKind("S")
"""A superlative: `most`, `oldest`, `highest rated`."""
NTH = SymbolKind("r")
"""`second` before a superlative."""
COMMONEST = SymbolKind("M")
"""`most common`, `least often used`."""
THAN = SymbolKind("O")
"""A comparison: `more than`, `at least`, `before`."""
OR_MORE = SymbolKind("+")
"""A comparison behind its number: `or more`, `or earlier`."""
BETWEEN = SymbolKind("K")
EACH = SymbolKind("G")
"""`for each`, `per`, `grouped by`."""
DISTINCT = SymbolKind("D")
NOT = SymbolKind("X")
AND = SymbolKind("&")
OR = SymbolKind("|")
BUT = SymbolKind("!")
BOTH = SymbolKind("2")
HAVE = SymbolKind("H")
SORTED = SymbolKind("R")
"""`sorted by`, `in order of`."""
DIRECTION = SymbolKind("Z")
"""`ascending`, `from high to low`."""
THAT = SymbolKind("T")
"""`that`, `which`, `who`, `where`."""
WHOSE = SymbolKind("W")
OF = SymbolKind("o")
FOR = SymbolKind("f")
BY = SymbolKind("y")
IN = SymbolKind("p")
"""A preposition of place or time, or `called`."""
LIKE = SymbolKind("L")
"""`contains`, `starts with`, `ends with`."""
EMPTY = SymbolKind("N")
"""`null`, `missing`, `unknown`."""
SAME = SymbolKind("=")
SHARE = SymbolKind("%")
"""`percentage of`."""
FULL_STOP = SymbolKind(".")
"""A full stop, a semicolon, a colon or a question mark."""
COMMA = SymbolKind(",")

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
