"""`borealis ask`, one question after the other."""

from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.cli import console
from mcp_server.cli.asking.last import keep, key_of, recalled
from mcp_server.nl2sql.conversation.turns import Conversation
from mcp_server.questions import ask_once

if TYPE_CHECKING:
    from mcp_server.databases.existing import Database
    from mcp_server.results import QuestionAnswer


def ask_in_turn(
    place: "Database",
    question: str,
    database: str | None,
    model: str | None,
    state_dir: Path,
    *,
    follow: bool,
) -> "QuestionAnswer":
    """Ask, and keep what was answered for the next question. follow: it builds on the last one."""
    folder, key = state_dir.expanduser(), key_of(place.id, database)
    before = recalled(folder, key) if follow else Conversation()
    answer, now = ask_once(place, question, database, model, before.turns)
    if now is not None:
        keep(folder, key, now)
        if answer.corrects:
            console.note("to have it read so from now on: borealis semantics CLUSTER teach")
    return answer
