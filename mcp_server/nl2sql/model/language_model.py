"""The language model as a small port, and the adapters to LangChain and to MCP sampling.

Whatever answers `complete` is a model. None of its output is trusted: what it writes passes the
same guard as SQL from anywhere else.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from mcp_server.nl2sql.errors import ModelError, ModelTimeoutError, ModelUnavailableError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@runtime_checkable
class Model(Protocol):
    """A language model, as far as this package is concerned."""

    async def complete(self, messages: Sequence[Message], n: int, timeout: float) -> list[str]:
        """Up to `n` replies to the conversation, as text, within `timeout` seconds.

        Raises ModelTimeoutError, or ModelError when the model cannot or will not answer.
        """
        ...


def as_model(model: "Model | BaseChatModel | str") -> Model:
    """A model from what users have at hand.

    model: an object with `complete`; a LangChain chat model; or a string for LangChain's
    `init_chat_model`, as in "anthropic:claude-sonnet-4-5".
    Raises ModelUnavailableError when the string needs a package that is not installed, and
    TypeError for anything else.
    """
    if isinstance(model, str):
        return LangChainModel(_init_chat_model(model))
    if isinstance(model, Model):
        return model
    if hasattr(model, "ainvoke"):
        return LangChainModel(model)
    raise TypeError(
        f"{type(model).__name__} is no model: expected a LangChain chat model, an "
        "init_chat_model string, or an object with an async `complete`"
    )


class LangChainModel:
    """Any LangChain chat model. Candidates are independent calls made at the same time."""

    def __init__(self, chat: "BaseChatModel") -> None:
        self._chat = chat

    async def complete(self, messages: Sequence[Message], n: int, timeout: float) -> list[str]:
        """Up to `n` replies. Raises ModelTimeoutError, ModelError."""
        conversation = [(m.role, m.content) for m in messages]
        calls = (self._chat.ainvoke(conversation) for _ in range(n))
        try:
            async with asyncio.timeout(timeout):
                replies = await asyncio.gather(*calls, return_exceptions=True)
        except TimeoutError as error:
            raise ModelTimeoutError(f"the model did not answer within {timeout:g} s") from error
        texts = [_text(reply.content) for reply in replies if not isinstance(reply, BaseException)]
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        if not texts and failed:
            # The provider's own text may quote a key, so only its kind is told.
            raise ModelError(f"the model failed with {type(failed[0]).__name__}") from failed[0]
        return texts


class ReplyNeeded(Exception):
    """A replayed run came to a question that no recorded reply answers yet."""

    def __init__(self, messages: Sequence[Message], n: int) -> None:
        super().__init__("the model has to be asked")
        self.messages = tuple(messages)
        self.n = n


class RecordedModel:
    """Replays replies in the order they were given, then raises ReplyNeeded.

    For models that are asked between two runs of the same plan, as MCP sampling is since
    protocol 2026-07-28: a tool call is answered with a request, and repeated with its answer.
    """

    def __init__(self, replies: Iterable[Sequence[str]]) -> None:
        self._replies = [list(reply) for reply in replies]
        self._asked = 0

    async def complete(self, messages: Sequence[Message], n: int, timeout: float) -> list[str]:
        """The next recorded replies. Raises ReplyNeeded when there are no more."""
        if self._asked == len(self._replies):
            raise ReplyNeeded(messages, n)
        self._asked += 1
        return self._replies[self._asked - 1]


def _init_chat_model(name: str) -> "BaseChatModel":
    try:
        from langchain.chat_models import init_chat_model
    except ImportError as error:
        raise ModelUnavailableError(
            f"the model {name!r} needs LangChain: pip install 'borealis-postgres[model]'"
        ) from error
    try:
        chat: BaseChatModel = init_chat_model(name)
    except ImportError as error:
        raise ModelUnavailableError(
            f"the model {name!r} needs a package that is not installed: {error}"
        ) from error
    except ValueError as error:
        raise ModelUnavailableError(f"LangChain cannot make the model {name!r}: {error}") from error
    return chat


def _text(content: Any) -> str:
    """The text of a LangChain message, whose content may be blocks."""
    if isinstance(content, str):
        return content
    blocks = [block if isinstance(block, str) else block.get("text", "") for block in content]
    return "\n".join(block for block in blocks if block)
