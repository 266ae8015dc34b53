"""Asking a person before something is destroyed.

A client that offers elicitation asks whoever sits before it. For any other there is a token, which
confirms this one call once: whoever reads the refusal decides whether to send it.

Source: Model Context Protocol specification, "Elicitation" and "Multi round-trip requests".
"""

import time
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from mcp_server.errors import McpServerError
from mcp_server.safety.confirmations import GOOD_SECONDS
from mcp_server.sampling import answers_by_repeating
from mcp_server.toolkit.platform import Call

QUESTION = "confirm"
RESOURCE = "of"
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        QUESTION: {"type": "boolean", "title": "Do it", "description": "Yes: do it. No: leave it"}
    },
    "required": [QUESTION],
}


class ConfirmationNeededError(McpServerError):
    """A call that destroys something, and that nobody confirmed. It says how to."""


class DeclinedError(McpServerError):
    """A person was asked, and did not confirm. Nothing was done."""


class AskFirst(Exception):
    """Ends a call that the client repeats with an answer. request: what it is asked."""

    def __init__(self, request: InputRequiredResult) -> None:
        super().__init__("a person has to be asked first")
        self.request = request


async def confirmed(call: Call, what: str, of: str = "") -> None:
    """Return where a call that destroys something may go on. what: what it does, in sentences.

    of: the resource id of what it is done to; another one of that name needs another confirmation.

    Raises ConfirmationNeededError, ConfirmationError, DeclinedError; AskFirst.
    """
    if call.scope.allow_destructive:
        return
    waiting = call.platform.confirmations
    this = call.owner, call.tool, {**call.arguments, RESOURCE: of}
    if call.confirmation is not None:
        waiting.redeem(call.confirmation, *this, time.monotonic())
    elif not _offers_to_ask(call.context):
        token = waiting.issue(*this, time.monotonic())
        raise ConfirmationNeededError(
            f"not done yet, for it needs a confirmation. {what} Tell the person you work for. If "
            f'it is wanted, send the same call with confirmation="{token}": good once, for '
            f"{GOOD_SECONDS / 60:g} minutes"
        )
    elif not answers_by_repeating(call.context):
        _accepted(
            await call.context.session.elicit_form(
                what, ANSWER, related_request_id=call.context.request_id
            )
        )
    elif call.context.request_state is None:
        # The answer to this question confirms one call once, as a token does.
        token = waiting.issue(*this, time.monotonic())
        question = ElicitRequest(
            params=ElicitRequestFormParams(message=what, requested_schema=ANSWER)
        )
        raise AskFirst(
            InputRequiredResult(input_requests={QUESTION: question}, request_state=token)
        )
    else:
        waiting.redeem(call.context.request_state, *this, time.monotonic())
        _accepted((call.context.input_responses or {}).get(QUESTION))


def _offers_to_ask(context: Context[Any, Any]) -> bool:
    """Whether a client shows forms. One that says no more than "elicitation" does."""
    capabilities = context.client_capabilities
    offered = None if capabilities is None else capabilities.elicitation
    return offered is not None and (offered.form is not None or offered.url is None)


def _accepted(answer: object) -> None:
    """Raises DeclinedError unless a person said yes."""
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        raise DeclinedError("the person who was asked did not confirm it; nothing was done")
    if (answer.content or {}).get(QUESTION) is not True:
        raise DeclinedError("the person who was asked said no; nothing was done")
