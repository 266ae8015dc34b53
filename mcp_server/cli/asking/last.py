"""What was asked last of each database, in a file of the state directory: for `ask --follow`."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile

from mcp_server.nl2sql.conversation.turns import Conversation

FILE = "asked.json"


def recalled(state_dir: Path, key: str) -> Conversation:
    """What was asked of a database; empty where nothing is known of it."""
    found = _read(state_dir / FILE).get(key)
    if not isinstance(found, dict):
        return Conversation()
    lesson = found.get("lesson")
    return Conversation(
        tuple((str(question), str(sql)) for question, sql in found.get("turns", [])),
        (str(lesson[0]), str(lesson[1])) if lesson else None,
    )


def keep(state_dir: Path, key: str, conversation: Conversation) -> None:
    """Keep it, for whoever owns the state directory alone; nothing where there is none."""
    if not state_dir.is_dir():
        return
    known = _read(state_dir / FILE) | {key: asdict(conversation)}
    with NamedTemporaryFile("w", dir=state_dir, prefix=FILE, delete=False) as file:
        json.dump(known, file)
    os.replace(file.name, state_dir / FILE)  # made with mode 0600


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def key_of(place: str, database: str | None) -> str:
    """The name of a database in the file."""
    return f"{place}/{database or ''}"


def lines(pairs: Sequence[tuple[str, str]]) -> str:
    """Questions that were taught, each with its SQL."""
    return "\n".join(f"{question}\n    {sql}" for question, sql in pairs)
