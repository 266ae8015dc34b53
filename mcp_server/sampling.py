"""The calling client's own language model, through MCP sampling.

Until protocol 2025-11-25 the server asks in the middle of a call. Since 2026-07-28 a call is
answered with what the server wants to know and repeated with the answers, so everything that the
model said so far travels in `request_state`, which the SDK seals: the client cannot change it.

Source: Model Context Protocol specification, "Sampling" and "Multi round-trip requests" (SEP-2322).
"""

import json
from collections.abc import Sequence
from typing import Any

import anyio
from mcp import MCPError
from mcp.server.mcpserver import Context
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)
from mcp_types.version import is_version_at_least

from mcp_server.nl2sql.errors import ModelError, ModelTimeoutError
from mcp_server.nl2sql.model.language_model import Message, Model, RecordedModel, ReplyNeeded

REPLY_TOKENS = 2000
FIRST_VERSION_WITHOUT_BACK_CHANNEL = "2026-07-28"


def client_model(context: Context[Any, Any]) -> Model | None:
    """The client's model as the translation needs it, or None where the client offers none."""
    capabilities = context.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        return None
    if not answers_by_repeating(context):
        return BackChannelModel(context)
    return RecordedModel(_replies(context))


def is_repeated(context: Context[Any, Any]) -> bool:
    """Whether this call brings answers of the client's model to a request of ours."""
    return context.request_state is not None


def request_for(context: Context[Any, Any], wanted: ReplyNeeded) -> InputRequiredResult:
    """What to answer a call with when the model has to be asked first."""
    requests = {str(number): _request(wanted.messages) for number in range(wanted.n)}
    return InputRequiredResult(
        input_requests=dict(requests), request_state=json.dumps(_replies(context))
    )


class BackChannelModel:
    """Asks the client while the call waits."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context

    async def complete(self, messages: Sequence[Message], n: int, timeout: float) -> list[str]:
        """Ask the client's model, one reply after another. Raises ModelTimeoutError, ModelError."""
        request = _request(messages)
        metadata = ServerMessageMetadata(related_request_id=self._context.request_id)
        replies = []
        try:
            with anyio.fail_after(timeout):
                for _ in range(n):
                    result = await self._context.session.send_request(
                        request, CreateMessageResult, metadata=metadata
                    )
                    replies.append(_text(result))
        except TimeoutError as error:
            raise ModelTimeoutError(
                f"the client's model did not answer in {timeout:g} s"
            ) from error
        except MCPError as error:
            raise ModelError(f"the client did not ask its model: {error.message}") from error
        return replies


def answers_by_repeating(context: Context[Any, Any]) -> bool:
    """Whether a client answers what it is asked by repeating its call."""
    version = context.protocol_version
    return version is not None and is_version_at_least(version, FIRST_VERSION_WITHOUT_BACK_CHANNEL)


def _replies(context: Context[Any, Any]) -> list[list[str]]:
    """What the model said in earlier rounds, and in the answers that this call brings."""
    if context.request_state is None:
        return []
    replies: list[list[str]] = json.loads(context.request_state)
    given = context.input_responses or {}
    latest = [answer for _, answer in sorted(given.items(), key=lambda item: int(item[0]))]
    return [*replies, [_text(one) for one in latest if isinstance(one, CreateMessageResult)]]


def _request(messages: Sequence[Message]) -> CreateMessageRequest:
    system = "\n\n".join(one.content for one in messages if one.role == "system")
    return CreateMessageRequest(
        params=CreateMessageRequestParams(
            messages=[
                SamplingMessage(role=one.role, content=TextContent(type="text", text=one.content))
                for one in messages
                if one.role != "system"
            ],
            system_prompt=system or None,
            max_tokens=REPLY_TOKENS,
        )
    )


def _text(result: CreateMessageResult) -> str:
    return result.content.text if isinstance(result.content, TextContent) else ""
