"""How long a model is waited for."""

import asyncio
from typing import Any

import pytest

from mcp_server.nl2sql.asker import _Patience
from mcp_server.nl2sql.errors import ModelTimeoutError

QUICK: Any = "quick"
SLOW: Any = "slow"


class Halting:
    """A model that never ends some of its replies."""

    async def complete(self, conversation: Any, count: int, seconds: float) -> list[str]:
        if conversation is SLOW:
            await asyncio.Event().wait()
        return ["select 1"] * count


async def test_the_replies_that_are_there_in_time_count() -> None:
    model: Any = Halting()
    found = await _Patience(0.2).complete(model, [SLOW, QUICK, SLOW])
    assert found == [[], ["select 1"], []]


async def test_a_model_that_does_not_reply_at_all_is_late() -> None:
    model: Any = Halting()
    with pytest.raises(ModelTimeoutError, match=r"within 0\.1 s"):
        await _Patience(0.1).complete(model, [SLOW, SLOW])
