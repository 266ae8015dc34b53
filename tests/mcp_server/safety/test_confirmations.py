"""A confirmation is of one call, once, for a while. Pure: the clock is an argument."""

import pytest

from mcp_server.safety.confirmations import (
    GOOD_SECONDS,
    WAITING_MAX,
    ConfirmationError,
    Confirmations,
)

CALL = ("me", "execute_sql", {"cluster": "c", "sql": "drop table t", "parameters": [1, None]})


def test_a_token_confirms_its_call_once() -> None:
    waiting = Confirmations()
    token = waiting.issue(*CALL, now=0)
    waiting.redeem(f" {token}\n", *CALL, now=GOOD_SECONDS)
    with pytest.raises(ConfirmationError, match="it was used"):
        waiting.redeem(token, *CALL, now=1)


def test_a_token_expires() -> None:
    waiting = Confirmations()
    token = waiting.issue(*CALL, now=0)
    with pytest.raises(ConfirmationError, match="older than 5 minutes"):
        waiting.redeem(token, *CALL, now=GOOD_SECONDS + 1)


@pytest.mark.parametrize(
    "other",
    [
        ("you", *CALL[1:]),
        ("me", "rewind", CALL[2]),
        ("me", "execute_sql", CALL[2] | {"sql": "drop table u"}),
        ("me", "execute_sql", {"cluster": "c", "sql": "drop table t"}),
        ("me", "execute_sql", CALL[2] | {"parameters": [True, None]}),
    ],
    ids=["session", "tool", "argument", "fewer", "type"],
)
def test_a_token_of_another_call_is_refused_and_used_up(other: tuple[str, str, object]) -> None:
    waiting = Confirmations()
    token = waiting.issue(*CALL, now=0)
    with pytest.raises(ConfirmationError, match="another call"):
        waiting.redeem(token, *other, now=1)
    with pytest.raises(ConfirmationError, match="it was used"):
        waiting.redeem(token, *CALL, now=1)


def test_the_order_of_arguments_says_nothing() -> None:
    waiting = Confirmations()
    token = waiting.issue("me", "t", {"a": 1, "b": 2}, now=0)
    waiting.redeem(token, "me", "t", {"b": 2, "a": 1}, now=0)


def test_of_too_many_the_oldest_is_forgotten() -> None:
    waiting = Confirmations()
    first, *others = [waiting.issue("me", "t", {"n": n}, now=0) for n in range(WAITING_MAX + 1)]
    with pytest.raises(ConfirmationError):
        waiting.redeem(first, "me", "t", {"n": 0}, now=0)
    waiting.redeem(others[-1], "me", "t", {"n": WAITING_MAX}, now=0)
