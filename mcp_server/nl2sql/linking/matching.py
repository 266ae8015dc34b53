"""How well words of a question fit the words of a name."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.abbreviations import abbreviates, skeleton
from mcp_server.nl2sql.words.lexicon import HOW, MEASURED, related, synonyms
from mcp_server.nl2sql.words.tokens import identifier_words, stem

RELATED_SCORE = 0.62
DONE_BY = 0.5
"""Of who does something and when it was done: the *publisher*, and the year *published*."""
WHO_DOES = ("er", "or")
BOUNDS = frozenset({"over", "under", "above", "below", "after", "before", "with", "than", "more"})
"""Words that are no beginning of others: nothing *over* 500 is overdue."""
ABBREVIATED = 0.9
INITIALS = {"family": "l", "sur": "l", "given": "f", "christian": "f"}
"""Names of people by an initial are those of `first` and `last`: no `family name` is an fname."""
_EXPLAINS = re.compile(
    r"[,;:.(\n]|\s[-–—=]\s|\s(?:that|which|who|where|when|such as|given|made|used|one row)\b",
    re.IGNORECASE,
)
"""Where a comment begins to explain: *Hull length, in metres*; *Skippers who sail for us*."""
_SAYS_WHEN = (("true",), ("whether",), ("if",), ("yes",), ("set",), ("false",))
"""How comments begin that name nothing: *true for a boat in the water*."""
INNER = frozenset({"of", "the", "in", "by", "a", "an", "and", "for", "to", "on"})

CODES = frozenset({"code", "cd", "no", "yn", "flag", "nbr"})
_WHEN, _AT = ("date", "day", "time"), ("at", "on", "ts", "timestamp", "datetime")
"""What asks when, and what columns have for it: the order date is when it was ordered."""
_UNITS = frozenset(
    {"kg", "g", "lb", "t", "km", "m", "cm", "mm", "mi", "ft", "l", "ml", "sec", "secs", "ms", "hr",
     "hrs", "mins", "pct", "usd", "eur", "gbp", "kw", "kwh", "mb", "gb"}
)  # fmt: skip
"""Words behind the name of a column that say in what it is measured."""
SURELY = 0.9
HAPPENED = 0.5
"""What a date is of says enough: members who *joined*, of a date to join."""
VIEWED = 0.98
"""Of two names that fit alike, a table's goes before a view's."""


@lru_cache(maxsize=10_000)
def head_words(comment: str) -> tuple[str, ...]:
    """What a comment calls its column or table, before it goes on to explain it."""
    words = identifier_words(_EXPLAINS.split(comment.strip(), maxsplit=1)[0])
    return () if words[:1] in _SAYS_WHEN else words


@lru_cache(maxsize=100_000)
def word_match(asked: str, named: str) -> float:
    """How well one word of a question fits one word of a name."""
    if asked == named:
        return 1.0
    if named in synonyms(asked):
        return 0.85
    if asked.startswith(HOW) and named in MEASURED.get(asked.removeprefix(HOW), ()):
        return 0.9 - 0.01 * MEASURED[asked.removeprefix(HOW)].index(named)
    if len(asked) > 3 and len(named) > 3 and stem(asked) == stem(named):
        does = asked.endswith(WHO_DOES) and stem(asked) != asked  # an order does nothing
        return DONE_BY if does and named.endswith("ed") else 0.92
    if abbreviates(named, asked):
        return 0.92 if len(named) > 2 else ABBREVIATED
    if 2 <= len(named) <= 4 and len(asked) > len(named) and skeleton(asked).startswith(named):
        return 0.75
    shorter, longer = sorted((asked, named), key=len)
    begins = len(shorter) >= 4 and longer.startswith(shorter) and shorter not in BOUNDS
    if begins and len(shorter) >= 0.55 * len(longer):
        return 0.8
    if named in related(asked):
        return RELATED_SCORE
    if len(named) >= 3 and named == asked[: len(named)] and len(asked) - len(named) >= 3:
        return 0.6
    return 0.0


@lru_cache(maxsize=100_000)
def name_match(span: tuple[str, ...], name: tuple[str, ...]) -> float:
    """How well a span fits a name, as words: 1 for the same words, less for a part of them."""
    asked = [word for word in span if word not in INNER] or list(span)
    named = [word for word in name if word not in INNER] or list(name)
    if not asked or not named:
        return 0.0
    if "".join(asked) == "".join(named):
        return 1.0
    left = list(named)
    total = 0.0
    last_matched = False
    for word in asked:
        best = max(left, key=lambda each: word_match(word, each), default=None)
        score = word_match(word, best) if best is not None else 0.0
        if not score or best is None:
            return _compound_match(asked, named)
        total += score
        last_matched = last_matched or best == named[-1]
        left.remove(best)
    quality = total / len(asked)
    if not left:
        return quality
    coverage = len(asked) / len(named)
    partial = (0.55 if last_matched else 0.42) + 0.35 * coverage
    return max(quality * partial, _compound_match(asked, named))


def _compound_match(asked: Sequence[str], named: Sequence[str]) -> float:
    """A name written as one word (`sourceairport`) against the words of a span."""
    if len(named) != 1 or len(named[0]) < 5:
        return 0.0
    name, joined = named[0], "".join(asked)
    if len(asked) > 1 and name == INITIALS.get(asked[0], asked[0][0]) + "".join(asked[1:]):
        return 0.92  # fname, lname
    for other in synonyms(joined) if len(asked) == 1 else ():
        if len(other) >= 4 and other != joined and name.endswith(other):
            return 0.8 * (0.5 + 0.4 * len(other) / len(name))
    if len(joined) < 3 or not (name.startswith(joined) or name.endswith(joined)):
        rest = name
        for word in asked:
            if len(word) >= 3 and rest.startswith(word):
                rest = rest[len(word) :]
            elif len(word) >= 5 and rest.startswith(word[:4]):
                rest = rest[4:]
            else:
                return 0.0
        return 0.9 if not rest else 0.5
    coverage = len(joined) / len(name)
    return (0.5 if name.endswith(joined) else 0.4) + 0.4 * coverage


def column_score(words: tuple[str, ...], column: Column) -> float:
    """How well words fit a column, by its name, its table's, its aliases and its comment."""
    own = column.words
    table = column.table.words
    score = name_match(words, own)
    for alias in column.aliases:
        score = max(score, name_match(words, alias), name_match(words, (*table, *alias)))
    if column.kind is Kind.BOOLEAN and len(own) > 1 and own[0] in ("be", "have"):
        score = max(score, 0.98 * name_match(words, own[1:]))
    residual = _residual(column)
    happened = HAPPENED if column.kind is Kind.DATE else SURELY
    if residual and residual != own and name_match(words, residual) >= happened:
        score = max(score, 0.96 * name_match(words, residual))
    core = tuple(word for word in residual or own if word not in CODES)
    if core and core != own and name_match(words, core) >= 0.75:
        score = max(score, 0.88 * name_match(words, core))
    if len(own) > 1 and own[-1] in _UNITS:
        score = max(score, 0.95 * name_match(words, own[:-1]))
    if len(own) > 1 and own[-1] == "id" and "id" not in words:
        score = min(score, 0.5)  # the thing is named, and not its number
    if len(words) > 1 and words[-1] == "name" and "name" not in own:
        score = max(score, 0.95 * name_match(words[:-1], own))
    if column.kind is Kind.DATE and words[-1] in _WHEN and own[-1] in _AT:
        score = max(score, 0.98 * name_match(words[:-1] or words, own[:-1] or own))
    if len(words) > 2 and own == ("".join(word[0] for word in words),):
        score = max(score, 0.95)  # miles per gallon: mpg
    if len(words) > 1 and score < 1:
        with_table = name_match(words, (*table, *own))
        if with_table >= 0.9:
            score = max(score, with_table)
    if len(words) > 1 and column.adds_up and table and _ends_in(table[-1], words[-1]):
        said = name_match(words[:-1], own)  # the opening *balance*, of balances
        score = max(score, 0.98 * (1 + said) / 2 if said >= SURELY else 0.0)
    if column.comment and not any(word in column.values for word in words):
        # what a comment lists are values
        score = max(score, 0.9 * name_match(words, identifier_words(column.comment)))
        score = max(score, 0.9 * name_match(words, head_words(column.comment)))
    return score * VIEWED if column.table.view else score


def _residual(column: Column) -> tuple[str, ...]:
    """The words of a column that its table does not have too."""
    table = column.table.words
    return tuple(word for word in column.words if word not in table and word not in INNER)


def _ends_in(name: str, word: str) -> bool:
    """Whether a name is a word, or is written together with it: dailybalance."""
    return name == word or (len(word) >= 4 and name.endswith(word))


class ColumnScores:
    """The scores of many columns, each found once for all that are called the same: three hundred
    tables have a `name`, and what of a table's words is like none that are asked is all one.
    """

    def __init__(self, columns: Iterable[Column]) -> None:
        self._called = {
            column: (column.words, _residual(column), column.aliases, column.kind,
                     column.table.view, column.adds_up)
            for column in columns
            if not column.comment
        }  # fmt: skip
        self._of_tables = {word for column in self._called for word in column.table.words}

    def __call__(
        self, words: tuple[str, ...], columns: Iterable[Column]
    ) -> list[tuple[Column, float]]:
        """Each of the columns with its `column_score`."""
        other = {name for name in self._of_tables if _says_nothing(name, words)}
        seen_as: dict[Table, tuple[str, ...]] = {}
        known: dict[object, float] = {}
        scored = []
        for column in columns:
            called, table = self._called.get(column), column.table
            if table not in seen_as:
                seen_as[table] = tuple("" if name in other else name for name in table.words)
            alike = column if called is None else (called, seen_as[table])
            if alike not in known:
                known[alike] = column_score(words, column)
            scored.append((column, known[alike]))
        return scored


def _says_nothing(name: str, words: Sequence[str]) -> bool:
    """Whether a word of a table's name only counts as one more, wherever words are compared."""
    return not (
        name in INNER
        or name in "".join(words)
        or _ends_in(name, words[-1])
        or any(word_match(word, name) for word in words)
    )
