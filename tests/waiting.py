"""Waiting for what another process or thread does, where it tells nobody when it has."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")

ASK_EVERY_S = 0.01, 0.03
"""At first, and in the end: to ask is work, of which there is enough while one waits."""


def wait_until(condition: Callable[[], T], timeout_s: float = 60) -> T:
    """Ask until the answer is true, and return it. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    pause, longest = ASK_EVERY_S
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {timeout_s:g} s: {condition}")
        time.sleep(pause)
        pause = min(pause * 1.1, longest)
    return answer


def has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, be it that its parent has not noticed yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two
        return True
