"""What the columns of a table say of a state: a date that is there or not, a value, yes or no."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from mcp_server.nl2sql.linking.matching import head_words
from mcp_server.nl2sql.schema.derived import DUE
from mcp_server.nl2sql.schema.display import are_people
from mcp_server.nl2sql.schema.legends import legend
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.words.abbreviations import abbreviates
from mcp_server.nl2sql.words.lexicon import PEOPLE, STATES
from mcp_server.nl2sql.words.tokens import identifier_words, lemma, normal_text, stem

KINDS_MAX = 20
"""A column with more texts holds no states."""
LEAVE, SERVE = "leave", "serve"
_ENDING = frozenset({"end", "ending"})
"""What dates are called that people leave on; those of other things may well lie ahead."""
_HIRED = frozenset({"hire", "hired", "hiring", "employed"})
_OF_SOME = frozenset({"last", "first", "next", "previous", "latest"})
"""Dates of what happens again and again."""
_EMPTY_WHILE = re.compile(
    r"\b(?:empty|null|missing|blank|not set|unset)\b(?P<while>[^.;]*)", re.IGNORECASE
)
_DONE = re.compile(r"[a-z]{2,}(?:ed|t|n)")
_EXPLAINS = re.compile(r"[,;:.(\n]")
_STILL = re.compile(r"^(?:still|currently|already|is|are|now) ")


class Outcomes:
    """What says how the rows of one database's tables stand."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        named = Counter(column.words for column in profile.columns)
        self._shared = {words for words, times in named.items() if times > 1}

    def ways(self, table: Table, said: str, groups: Sequence[str], done: bool) -> list[str]:
        """The conditions that say so of a table's rows, of the kind of column that says it best.

        said: the word, a participle without its `un`. groups: those of `STATES` that it is of.
        done: whether it has happened.
        """
        own, siblings = {stem(said)}, _siblings(groups)
        values = list(_values(table))

        def held(names: set[str]) -> list[str]:
            return [
                self._whose(column, f"is {'' if done else 'not '}'{text}'")
                for column, text, words in values
                if names & words
            ]

        flags = [
            f"that are {'' if done else 'not '}{' '.join(words)}"
            for column in table.columns
            if (words := _flag(column)) and SERVE in groups and siblings & _stems(column)
        ]
        named, also = (
            [self._whose(c, f"is {'not ' if done else ''}missing") for c in columns]
            for columns in self._dates(table, said, groups, done)
        )
        # that something is not done yet, no value of other things says: cancelled is not paid
        order = (held(own), named, held(siblings), also)
        if not done:
            order = (named, also, held(own), held(siblings) if said not in _UNDONE else [])
        return next((each for each in (flags, *order) if each), [])

    def dates(self, table: Table, said: str, groups: Sequence[str]) -> list[str]:
        """The dates that say when it happened, as in `whose end date`, those called so first."""
        named, also = self._dates(table, said, groups, True)
        return [self._whose(column) for column in named or also]

    def _dates(
        self, table: Table, said: str, groups: Sequence[str], done: bool
    ) -> tuple[list[Column], list[Column]]:
        dates = [column for column in table.columns if _may_be_missing(column)]
        named = [column for column in dates if _is_called(column, stem(said))]
        siblings, leaving = _siblings(groups), LEAVE in groups and _of_people(table)
        also = [
            column
            for column in dates
            if any(_is_called(column, name) for name in siblings)
            or (leaving and _ENDING & set(column.words))
            or (not done and _empty_while(column, said))
        ]
        return named, also

    def flag(self, table: Table, said: str) -> str:
        """How it is said that a yes or no of a table is so, where it is called by one word."""
        for column in table.columns:
            if len(words := _flag(column)) == 1 and stem(words[0]) == stem(said):
                return f"that are {words[0]}"
        return ""

    def has(self, table: Table, *said: str) -> bool:
        """Whether rows of a table have a value, or yes or no, called so."""
        index = self._profile.value_index
        held = (column for word in said for column, _ in index.get(normal_text(word), ()))
        if any(column.table is table for column in held):
            return True
        flags = (c for c in table.columns if c.kind is Kind.BOOLEAN)
        return any(set(map(stem, said)) & _stems(flag) for flag in flags)

    def meanings(self) -> Iterator[tuple[Column, str, tuple[str, ...], str]]:
        """What codes mean by the comments on their columns, where that begins with what says that
        it is so: the column, the code, the rest of its meaning, and the other code of two.
        """
        for column in self._profile.columns:
            codes = legend(column) if column.comment and column.kind is Kind.TEXT else {}
            for code, meaning in codes.items():
                words = tuple(_STILL.sub("", meaning).split())
                other = next((c for c in codes if c != code), "") if len(codes) == 2 else ""
                if _STILL.match(meaning):
                    yield column, code, words, other

    def done_as(self, word: str) -> str:
        """The value, or the meaning of a code, that a verb names: `failed` of `fail`."""
        found = {
            meant
            for table in self._profile.tables
            for column, text, _ in _values(table)
            for meant in (text.lower(), legend(column).get(text, ""))
            if _DONE.fullmatch(meant) and stem(word) == stem(meant)
        }
        return found.pop() if len(found) == 1 else ""

    def _whose(self, column: Column, said: str = "") -> str:
        of = column.table.words if column.words in self._shared else ()
        return f"whose {' '.join((*of, *column.words))} {said}".rstrip()


_UNDONE = frozenset(word for _, undone in STATES.values() for word in undone)


def _siblings(groups: Sequence[str]) -> set[str]:
    return {stem(word) for group in groups for word in STATES[group][0]}


def _values(table: Table) -> Iterator[tuple[Column, str, set[str]]]:
    """The texts of columns of a few kinds, each with the stems of what it is, or means."""
    for column in table.columns:
        if column.kind is not Kind.TEXT or not 1 < len(column.values) <= KINDS_MAX:
            continue
        codes = legend(column) if column.comment else {}
        for normal, text in column.values.items():
            meant = {normal, codes.get(text, normal)}
            yield column, text, {stem(each) for each in meant if " " not in each}


def _may_be_missing(column: Column) -> bool:
    if column.kind is not Kind.DATE or column.full:
        return False
    return not (_OF_SOME & set(column.words) or DUE & _stems(column))


def _flag(column: Column) -> tuple[str, ...]:
    """What a column says yes or no to: `in service`, `paid` of `is_paid`."""
    if column.kind is not Kind.BOOLEAN:
        return ()
    return column.words[1:] if column.words[0] in ("be", "have") else column.words


def _stems(column: Column) -> set[str]:
    return {stem(" ".join(column.words)), *map(stem, column.words)}


def _is_called(column: Column, name: str) -> bool:
    """Whether a date says when what a stem names happened: `closed_on`, and `clsd_dt` where the
    comment says `Date closed`.
    """
    told = _EXPLAINS.split(column.comment, maxsplit=1)[0] if column.comment else ""
    if name in {stem(word) for word in (*column.words, *identifier_words(told))}:
        return True
    own = [word for word in column.words if word not in column.table.words]
    return len(name) > 3 and any(abbreviates(word, f"{name}ed") for word in own)


def _empty_while(column: Column, said: str) -> bool:
    """Whether the comment on a column says that it is empty while something is so."""
    found = _EMPTY_WHILE.search(column.comment)
    return found is not None and lemma(said) in identifier_words(found["while"])


def _of_people(table: Table) -> bool:
    told = head_words(table.comment) if table.comment else ()
    hired = any(_HIRED & set(column.words) for column in table.columns)
    return hired or are_people(table) or bool(PEOPLE & set(told))
