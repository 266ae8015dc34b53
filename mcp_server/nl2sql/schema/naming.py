"""Names without separators taken apart, and what all names of a kind begin with left out.

PostgreSQL folds `sbTxCustId` to `sbtxcustid` unless it was quoted, and many schemas put letters
before every name: `l_orderkey`, `sbcustname`. People say neither.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import takewhile

from mcp_server.nl2sql.schema.model import Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import identifier_words

ENDINGS = ("id", "name", "type", "code", "date", "number", "no")
TABLES_MIN = 3
COLUMNS_MIN = 4
"""So many names with the same letters before them are no coincidence."""
REST_MIN = 2
ABBREVIATION_MIN = 3


def take_names_apart(found: Profile) -> None:
    """Give tables and columns the words that their names are made of."""
    letters = _before_all([table.name for table in found.tables], TABLES_MIN)
    for table in found.tables:
        if _says_nothing(letters):
            table.words = identifier_words(table.name[len(letters) :])
    for table in found.tables:
        _leave_out(table, letters if _says_nothing(letters) else "")
    _split_at_endings(found)


def _before_all(names: Sequence[str], at_least: int) -> str:
    """The letters that all names begin with; none where too few do, or too little is left."""
    letters = takewhile(lambda each: len(set(each)) == 1, zip(*map(str.lower, names), strict=False))
    shared = "".join(each[0] for each in letters)
    shared = shared[: shared.rfind("_") + 1] if "_" in shared else shared
    left = min((len(name) - len(shared) for name in names), default=0)
    return shared if len(names) >= at_least and left >= REST_MIN else ""


def _says_nothing(letters: str) -> bool:
    """Whether letters are no word: one of them, or consonants alone."""
    plain = letters.strip("_")
    return len(plain) == 1 < len(letters) or (len(plain) > 1 and not set(plain) & set("aeiou"))


def _leave_out(table: Table, letters: str) -> None:
    """The letters before all tables, and then before all columns of this one."""
    names = [column.name.lower().removeprefix(letters) for column in table.columns]
    shared = _before_all(names, TABLES_MIN if letters else COLUMNS_MIN)
    own = table.words[0] if table.words else ""
    joined = "_" not in "".join(names)
    enough = REST_MIN if letters else ABBREVIATION_MIN
    short = joined and len(shared) >= enough and own.startswith(shared)
    if not short and not _says_nothing(shared):
        shared = ""
    if not shared and not letters:
        return
    for column, name in zip(table.columns, names, strict=True):
        rest = name[len(shared) :]
        if joined and rest.endswith("id") and rest != "id":
            column.words = (rest,)  # it may be named for another table: see below
            continue
        ending = next((e for e in ENDINGS if joined and rest.endswith(e) and rest != e), "")
        start = rest.removesuffix(ending)
        if len(start) < ABBREVIATION_MIN:
            start, ending = rest, ""
        if column.kind is Kind.BOOLEAN and joined and start.startswith("is"):
            start = f"is_{start[2:]}"
        words = (*identifier_words(start), *((ending,) if ending else ()))
        column.words = (own, *words) if short else words


def _split_at_endings(found: Profile) -> None:
    """`petid` and `stuid` are two words where the first is, or begins, a word of a table."""
    words = sorted({word for table in found.tables for word in table.words if len(word) > 2})
    for column in found.columns:
        if len(column.words) != 1:
            continue
        name = column.words[0]
        initial = column.table.words[-1][:1] if column.table.words else ""
        if column.primary and name.endswith("id") and len(name) <= 4:
            column.words = (column.table.words[-1], "id")
            continue
        if name == f"{initial}name" and initial not in ("f", "l", "m"):
            column.words = (column.table.words[-1], "name")
            continue
        for ending in ENDINGS:
            start = name.removesuffix(ending)
            own = any(word.startswith(start) for word in column.table.words)
            if start == name or len(start) < (2 if own else 3):
                continue
            after = words[bisect_left(words, start) :][:1]
            whole = next(
                (w for w in (*(w for w in after if w == start), *column.table.words, *after)
                 if w.startswith(start)),
                None,
            )  # fmt: skip
            if whole is not None:
                column.words = (whole, ending)
            break
