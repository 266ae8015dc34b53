"""Names as SQL has them: read as PostgreSQL reads them, and written as they must be written.

Source: PostgreSQL manual, "Identifiers and Key Words" and its appendix "SQL Key Words".
"""

import re

RESERVED = frozenset(
    "all analyse analyze and any array as asc asymmetric both case cast check collate column "  # noqa: SIM905
    "constraint create current_catalog current_date current_role current_time current_timestamp "
    "current_user default deferrable desc distinct do else end except false fetch for foreign from "
    "grant group having in initially intersect into lateral leading limit localtime localtimestamp "
    "not null offset on only or order placing primary references returning select session_user "
    "some symmetric system_user table then to trailing true union unique user using variadic when "
    "where window with".split()
)
"""PostgreSQL's reserved words."""
RESERVED_BUT_FOR_FUNCTIONS = frozenset(
    "authorization binary collation concurrently cross current_schema freeze full ilike inner is "  # noqa: SIM905
    "isnull join left like natural notnull outer overlaps right similar tablesample verbose".split()
)
"""Words that may be the name of a function or type, and of nothing else."""

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_PART = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^\W\d][\w$]*))\s*(?P<dot>\.|\Z)')


def needs_quotes(name: str) -> bool:
    """Whether PostgreSQL needs the name in quotes: upper case, odd characters, a keyword."""
    return _PLAIN.fullmatch(name) is None or name in RESERVED or name in RESERVED_BUT_FOR_FUNCTIONS


def written(*parts: str) -> str:
    """A name with what it is in, as a statement must write it: `"My Schema"."Order"`."""
    return ".".join(
        '"' + part.replace('"', '""') + '"' if needs_quotes(part) else part for part in parts
    )


def folded(name: str) -> str:
    """An unquoted name as PostgreSQL understands it: its ASCII letters in lower case."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def read(text: str) -> tuple[str, ...] | None:
    """The parts of a dotted name as SQL reads it; None where the text is no such name."""
    parts: list[str] = []
    at = 0
    while found := _PART.match(text, at):
        quoted = found["quoted"]
        parts.append(folded(found["plain"]) if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if found["dot"] == "":
            return tuple(parts)
    return None
