"""Which tools a server has: each belongs to a toolset, and a server is started with some of them.

What a tool says of itself stands in the context of a model from the start, so a server gives the
toolsets that most work needs, and the others when it is asked for them.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum

from mcp_server.errors import ScopeError

ALL = "all"


class Toolset(Enum):
    """What the tools of a set are about; the value is its name on the command line."""

    CLUSTERS = "clusters"
    BRANCHES = "branches"
    HISTORY = "history"
    SCHEMA = "schema"
    QUERIES = "queries"
    WRITES = "writes"
    ADVICE = "advice"
    MEMORY = "memory"
    CAPACITY = "capacity"


Toolsets = frozenset[Toolset]

EVERY: Toolsets = frozenset(Toolset)
DEFAULT: Toolsets = frozenset(
    {
        Toolset.CLUSTERS,
        Toolset.BRANCHES,
        Toolset.HISTORY,
        Toolset.SCHEMA,
        Toolset.QUERIES,
        Toolset.WRITES,
    }
)
"""What a server has if nobody says."""


def chosen(text: str) -> Toolsets:
    """The toolsets of `a,b`, or of `all`. Raises ScopeError for a name that none has."""
    names = [name for part in text.split(",") if (name := part.strip().lower())]
    if not names:
        raise ScopeError(f"--toolsets names none; give some of {named(EVERY)}, or {ALL}")
    if ALL in names:
        names.remove(ALL)
        return frozenset(map(_of_name, names)) | EVERY
    return frozenset(map(_of_name, names))


def named(toolsets: Iterable[Toolset]) -> str:
    """Their names, in the order in which they are declared."""
    wanted = frozenset(toolsets)
    return ", ".join(each.value for each in Toolset if each in wanted)


def _of_name(name: str) -> Toolset:
    try:
        return Toolset(name)
    except ValueError:
        near = get_close_matches(name, [ALL, *(each.value for each in Toolset)], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ScopeError(
            f"there is no toolset {name!r}; {hint}There are {named(EVERY)}; {ALL} means all of them"
        ) from None
