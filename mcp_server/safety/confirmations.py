"""Confirmations of calls that destroy something: each is of one call, once, and not for long. Pure.

A token stands for exactly what was asked: who asked (a session), which tool, all its arguments.
"""

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcp_server.errors import McpServerError

GOOD_SECONDS = 300.0
WAITING_MAX = 256
"""Calls that may wait for theirs; beyond it, the oldest has to be asked for again."""


class ConfirmationError(McpServerError):
    """A confirmation that is not of this call, was used, or is too old. Ask for a new one."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    what: bytes
    until: float


class Confirmations:
    """The calls of a server that wait for theirs. Times are seconds of the callers' clock."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    def issue(self, owner: str, tool: str, arguments: Mapping[str, Any], now: float) -> str:
        """A token that confirms this call, if it comes back in time."""
        token = secrets.token_urlsafe(12)
        self._waiting[token] = _Waiting(_digest(owner, tool, arguments), now + GOOD_SECONDS)
        while len(self._waiting) > WAITING_MAX:
            self._waiting.popitem(last=False)
        return token

    def redeem(
        self, token: str, owner: str, tool: str, arguments: Mapping[str, Any], now: float
    ) -> None:
        """Use a token up, whatever it is shown for. Raises ConfirmationError unless it fits."""
        waiting = self._waiting.pop(token.strip(), None)
        if waiting is None:
            why = "it was used, or is none of this server"
        elif waiting.until < now:
            why = f"it is older than {GOOD_SECONDS / 60:g} minutes"
        elif waiting.what != _digest(owner, tool, arguments):
            why = "it is of another call: tool, arguments and session must be the same"
        else:
            return
        raise ConfirmationError(
            f"the confirmation is not good: {why}. Nothing was done; the same call without a "
            "confirmation gives a new one"
        )


def _digest(owner: str, tool: str, arguments: Mapping[str, Any]) -> bytes:
    text = json.dumps([owner, tool, arguments], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
