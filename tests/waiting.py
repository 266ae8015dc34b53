"""Waiting for what another process or thread does, where it tells nobody when it has."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float = 60) -> T:
    """Ask until the answer is true, and return it. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout_s:g} s: {condition}")
        time.sleep(0.01)
    return answer
