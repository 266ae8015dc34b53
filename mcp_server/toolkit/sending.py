"""What a tool answered as the result of a call: fenced, bounded, with a cursor to go on."""

import time
from dataclasses import dataclass
from typing import Any

from mcp_types import CallToolResult, TextContent

from mcp_server.answers.pages import CHARACTERS_A_TOKEN, NOTE_CHARACTERS, Answer, blocks, page
from mcp_server.results import ToolResult
from mcp_server.toolkit.platform import Call

MORE = 'There is more: read_more(cursor="{}").'


@dataclass(frozen=True, slots=True)
class Continued:
    """The rest of an answer, from an item on. cursor: what the caller sent."""

    answer: Answer
    start: int
    cursor: str


def sent(told: ToolResult | Answer | Continued, call: Call, *, structured: bool) -> CallToolResult:
    """The first page of what a tool answered, or the next one.

    structured: whether the tool has an output schema. Otherwise an answer is sent once, as text.
    """
    kept = call.platform.kept
    notes: tuple[str, ...] = ()
    start, cursor = 0, None
    match told:
        case Continued():
            answer, start, cursor = told.answer, told.start, told.cursor
        case ToolResult() | Answer():
            answer = told if isinstance(told, Answer) else told.answer()
            notes = answer.notes
    characters = call.scope.answer_tokens * CHARACTERS_A_TOKEN - NOTE_CHARACTERS
    part = page(answer, start, characters)
    if part.left:
        cursor = (
            kept.keep(answer, part.end, call.owner, time.monotonic())
            if cursor is None
            else kept.at(cursor, part.end)
        )
        notes = (*notes, MORE.format(cursor))
    content: Any = [
        TextContent(type="text", text=text)
        for text in blocks(part.text, notes, fenced=answer.fenced)
    ]
    if structured and isinstance(told, ToolResult):
        return CallToolResult(content=content, structured_content=told.spoken())
    return CallToolResult(content=content)
