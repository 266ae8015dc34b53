"""Processes that the runtime starts: out of a terminal's reach from their first instant.

Each gets a session of its own. Between its fork and that session lie a few system calls in which
it still belongs to the terminal's foreground: a Ctrl-C then would end it, and whoever waits for it
would report a failure that is none. So the thread that forks blocks those signals meanwhile.
A program that is started without `preexec_fn` keeps them blocked, for nobody sends it any.
"""

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FROM_A_TERMINAL = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP)
"""What a terminal or a supervisor sends to a whole group. Not SIGQUIT: it tells a postmaster that
its parent is gone."""


def run(command: Sequence[str | Path], **options: Any) -> "subprocess.CompletedProcess[Any]":
    """`subprocess.run`, in a session of its own. Raises what that raises."""
    with _unheard():
        return subprocess.run(command, start_new_session=True, **options)


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[Any]":
    """`subprocess.Popen`, in a session of its own. Raises what that raises.

    A `preexec_fn` has to call `hear_signals` where the program must hear them.
    """
    with _unheard():
        return subprocess.Popen(command, start_new_session=True, **options)


def hear_signals() -> None:
    """In the child, once it has its session: forget what came, and hear what comes."""
    for number in FROM_A_TERMINAL:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_IGN)  # discards one that waits
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FROM_A_TERMINAL)


@contextmanager
def _unheard() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FROM_A_TERMINAL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
