"""What was asked and answered so far, and what the last answer would teach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlglot import exp

from mcp_server.nl2sql.database import parsed
from mcp_server.nl2sql.schema.model import Profile, Table

Turn: TypeAlias = tuple[str, str]
"""A question and the SQL of its answer."""

TURNS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Conversation:
    """turns: questions with the SQL of their answers. lesson: what the last answer would teach."""

    turns: tuple[Turn, ...] = ()
    lesson: Turn | None = None

    def with_answer(
        self, question: str, sql: str, *, follows: bool, teaches: Turn | None
    ) -> "Conversation":
        """The same, one answer later. follows: whether it builds on those before, of which it is a
        new beginning otherwise; teaches: what it puts right.
        """
        turn = question, sql
        before = self.turns[1 - TURNS_KEPT :] if follows else ()
        return Conversation((*before, turn), teaches or (None if follows else turn))


def tables_read(turns: Sequence[Turn], profile: Profile) -> list[Table]:
    """The tables that the last query reads, in its order."""
    last = parsed.tree(turns[-1][1]) if turns else None
    named = last.find_all(exp.Table) if last is not None else ()
    found = (profile.named(each.db, each.name) for each in named)
    return [table for table in dict.fromkeys(found) if table is not None]
