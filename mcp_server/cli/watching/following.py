"""Asking again and again, for sequences that only grow at their end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from mcp_server.cli import console

EVERY_SECONDS = 1.0


def follow(ask: Callable[[], Sequence[Any]], *, as_json: bool) -> None:
    """Print each thing once: those that are there, and those that come. Ends with Ctrl-C."""
    with until_interrupted():
        for one in new_ones(ask):
            console.line(one, as_json=as_json)


def new_ones(ask: Callable[[], Sequence[Any]], every: float = EVERY_SECONDS) -> Iterator[Any]:
    """Things in the order in which they appear. What was there before is told by being equal."""
    known: set[Any] = set()
    while True:
        now = ask()
        yield from (one for one in now if one not in known)
        known = set(now)
        time.sleep(every)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """To be interrupted is how a command that follows ends well."""
    with suppress(KeyboardInterrupt):
        yield
