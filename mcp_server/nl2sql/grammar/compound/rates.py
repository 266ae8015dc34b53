"""Rates as shares: the *no-show rate* is the percentage of visits that are a no-show.

A share is in percent anyway; a question that says so says nothing more.
"""

import re

from mcp_server.nl2sql.grammar.columns import truth_values
from mcp_server.nl2sql.grammar.symbols import SURE
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.model import Column
from mcp_server.nl2sql.words.tokens import lemma, tokenize

_RATE = re.compile(r"\b(?P<what>(?:[\w-]+ )?[\w-]+) rates?\b", re.IGNORECASE)
_SHARE = re.compile(
    r"\b(?P<noun>percentage|percent|proportion|share|fraction|part)s?\b(?! points?\b)",
    re.IGNORECASE,
)
_PERCENT = r"(?:percentages?|percents?|per cent|pct|%)"
_SAID = rf"(?:in|as|to) (?:an? |the )?(?:{_PERCENT})(?: (?:value|figure|number|terms))?"
_TOLD = r"(?:given|expressed|shown|stated|displayed|reported|calculated|written) "
_IN_PERCENT = re.compile(
    rf"(?:,? \(?(?:{_TOLD})?{_SAID}\)?|,? \((?:{_PERCENT})\)|,? percentage-?wise)"
    r"(?= *(?:[,.?!;]|$)| (?:per|by|for (?:each|every)) )",
    re.IGNORECASE,
)
_FIRST_IN_PERCENT = re.compile(rf"\A(?:{_SAID}), ", re.IGNORECASE)
KINDS_MAX = 30
"""A column of more different texts tells rows apart, and does not say how they are."""
ALIKE_LETTERS = 5
"""`Cancellation` and `cancelled` begin alike."""


def as_share(text: str, linker: Linker) -> str:
    """A question with its first rate as a share of rows, where a value says which rows."""
    match = _RATE.search(text)
    if match is None:
        return text
    words = match["what"].split()
    for start in range(len(words)):
        what = " ".join(words[start:])
        found = _held(what, linker)
        if found is not None and not _is_column(what, linker):
            column, value = found
            rows = " ".join(column.table.words)
            before = f"{text[: match.start()]}{' '.join(words[:start])}".rstrip()
            share = f"percentage of {rows} that are {value}"
            return f"{before} {share}{text[match.end() :]}".lstrip()
    return text


def without_percent(text: str, linker: Linker) -> str:
    """A question without `in percent`, where it asks for a share or a rate of rows."""
    rest = _IN_PERCENT.sub("", _FIRST_IN_PERCENT.sub("", text))
    return rest if rest != text and _asks_a_share(rest, linker) else text


def _asks_a_share(text: str, linker: Linker) -> bool:
    """Whether a question asks for a share, and for no column that holds one."""
    said = [lemma(match["noun"].lower()) for match in _SHARE.finditer(text)]
    named = [column for word in said for column, score in linker.columns((word,)) if score >= SURE]
    return not named and (bool(said) or as_share(text, linker) != text)


def _is_column(what: str, linker: Linker) -> bool:
    """Whether a column may hold the rate itself."""
    words = tuple(lemma(word) for word in what.split())
    return any("rate" in column.words for column, _ in linker.columns((*words, "rate")))


def _held(what: str, linker: Linker) -> tuple[Column, str] | None:
    """The column that says how rows are, and what it says; None where that is not one thing."""
    tokens = tokenize(what)
    ref = linker.ref(tokens, 0, len(tokens))
    if ref is not None and ref.values:
        kinds = [(column, what) for column, _ in ref.values if _tells_kinds(column)]
    elif ref is not None and ref.best_column >= SURE:
        kinds = [(column, what) for column, _ in ref.columns if truth_values(column)]
    else:
        kinds = _alike(what.lower(), linker)
    return kinds[0] if len({column.table for column, _ in kinds}) == 1 else None


def _alike(word: str, linker: Linker) -> list[tuple[Column, str]]:
    """Values of the same verb: `returned` of the return rate."""
    found = []
    beginning = word[:ALIKE_LETTERS]
    for text, held in linker.profile.value_index.items():
        same = text.startswith(beginning) and " " not in text and len(beginning) == ALIKE_LETTERS
        found += [(column, value) for column, value in held if same and _tells_kinds(column)]
    return found


def _tells_kinds(column: Column) -> bool:
    return 0 < len(column.values) <= KINDS_MAX and column.table.rows > 2 * len(column.values)
