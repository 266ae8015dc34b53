"""How a host waits for its end."""

import os
import signal
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from cluster_runtime.host import background


@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", background.ENDING)
def test_a_signal_whose_handler_does_not_come_to_run_before_the_wait_ends_it(number: int) -> None:
    """Python's handlers run between two steps of the interpreter, and a wait is one step."""
    waited: Future[None] = Future()
    hosted: Any = SimpleNamespace(
        thread=SimpleNamespace(submit=lambda work: waited),
        door=SimpleNamespace(unneeded=lambda: None),
    )
    with background._told_to_end() as until_end:
        signal.signal(number, lambda *_: None)
        os.kill(os.getpid(), number)
        until_end(hosted)
    assert waited.cancelled()


def test_a_host_that_nobody_needs_ends_without_a_signal() -> None:
    unneeded: Future[None] = Future()
    unneeded.set_result(None)
    hosted: Any = SimpleNamespace(
        thread=SimpleNamespace(submit=lambda work: unneeded),
        door=SimpleNamespace(unneeded=lambda: None),
    )
    before = signal.getsignal(signal.SIGTERM)
    with background._told_to_end() as until_end:
        until_end(hosted)
    assert signal.getsignal(signal.SIGTERM) is before
