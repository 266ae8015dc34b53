"""Whose memories they are, what they are called, and when two are one. Nothing here does I/O."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mcp_server.errors import McpServerError

KINDS = ("user", "agent", "run")
OWNER_CHARACTERS = 200
ROOT = "memories"
"""The first label of every namespace."""
SAME = 0.95
"""Cosine similarity from which two texts may say the same."""

_SCOPE = re.compile(rf"({'|'.join(KINDS)}):(\S(?:.{{0,{OWNER_CHARACTERS - 2}}}\S)?)", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_BLOCK = "block:"


class MemoryScopeError(McpServerError):
    """A scope that is none. Give `user:`, `agent:` or `run:` and whose it is."""


class NoMemoryError(McpServerError):
    """A memory or core block that is not there, or no longer."""


class ForeignMemoriesError(McpServerError):
    """The schema of the memories was made by a role that the caller's rights must not serve."""


@dataclass(frozen=True, slots=True)
class MemoryScope:
    """Whose memories: a user's, an agent's, or those of one run. Written as `user:ada`."""

    kind: str
    owner: str

    @classmethod
    def of(cls, text: str) -> "MemoryScope":
        """The scope that a text names. Raises MemoryScopeError."""
        found = _SCOPE.fullmatch(text)
        if found is None:
            raise MemoryScopeError(
                f"{text[:60]!r} is no scope: write user:NAME, agent:NAME or run:NAME, with a name "
                f"of 1 to {OWNER_CHARACTERS} characters and no blanks around it"
            )
        return cls(found[1], found[2])

    @classmethod
    def at(cls, namespace: Sequence[str]) -> "MemoryScope":
        """The scope whose namespace this is."""
        _, kind, owner, *_ = namespace
        return cls(kind, owner.replace("%2E", ".").replace("%25", "%"))

    @property
    def namespace(self) -> tuple[str, str, str]:
        """Where they are in a store, whose labels have no periods."""
        return (ROOT, self.kind, self.owner.replace("%", "%25").replace(".", "%2E"))

    def __str__(self) -> str:
        return f"{self.kind}:{self.owner}"


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory as it is told. score: from 0 to 1, of a search. expires: with the host's clock."""

    id: str
    scope: str
    text: str
    updated: datetime
    score: float | None = None
    expires: str | None = None

    @classmethod
    def of(cls, item: Any) -> "Memory":
        """An item of a store."""
        score = getattr(item, "score", None)
        return cls(
            id=item.key,
            scope=str(MemoryScope.at(item.namespace)),
            text=str(item.value.get("text", "")),
            updated=item.updated_at,
            score=None if score is None else round(float(score), 3),
            expires=item.value.get("expires"),
        )

    @property
    def block(self) -> str | None:
        """The name of the core block that it is; None for others."""
        return self.id.removeprefix(_BLOCK) if self.id.startswith(_BLOCK) else None


def normal(text: str) -> str:
    """A text without what makes no difference: case, blanks, forms of the same sign."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def id_of(text: str) -> str:
    """The id of a memory: that of its text, so that the same text in one scope is one memory."""
    data = normal(text).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=6).hexdigest()


def id_of_block(name: str) -> str:
    """The id of a core block."""
    return _BLOCK + name


def say_the_same(old: str, new: str, similarity: float | None) -> bool:
    """Whether a text takes the place of an earlier one.

    similarity: cosine of their embeddings. Texts with other numbers in them are two facts, however
    alike they are: embeddings hardly tell digits apart.
    """
    if normal(old) == normal(new):
        return True
    if similarity is None or similarity < SAME:
        return False
    return Counter(_NUMBER.findall(old)) == Counter(_NUMBER.findall(new))
