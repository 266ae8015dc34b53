"""What was asked and answered so far, and what the last answer would teach."""

from dataclasses import dataclass
from typing import TypeAlias

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
