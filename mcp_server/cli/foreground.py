"""Programs that have the terminal while this process waits for their end.

Source: POSIX, "system": the caller ignores SIGINT and SIGQUIT, which the terminal sends to the
program as well. What ends the caller (SIGTERM, SIGHUP) is passed on, so that the program puts the
terminal back as it was.
"""

import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
SIGNALS_MAX = 4096
TO_END = (signal.SIGTERM, signal.SIGHUP)


def end_in_good_order() -> None:
    """Let SIGTERM and SIGHUP leave every `with` block on their way out.

    One that is ignored stays so, as for a program under nohup.
    """
    for number in TO_END:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _exit)


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program in the foreground; its exit status as a shell tells it.

    For the main thread alone, which is the one that takes signals.
    """
    with _passing_on() as pass_on_to, _terminal_kept():
        child = subprocess.Popen(arguments, env=environment)
        pass_on_to(child)
        status = child.wait()
    return status if status >= 0 else 128 - status


def ask_for_line(prompt: str) -> str:
    """A line that somebody types. Raises EOFError at the end of the input.

    `input` sleeps through a signal that comes between its prompt and its read.
    """
    print(prompt, end="", flush=True)
    with _signals() as arrived:
        while sys.stdin not in select.select([sys.stdin, arrived], [], [])[0]:
            os.read(arrived, SIGNALS_MAX)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def wait_for_signals() -> NoReturn:
    """Wait until the handler of a signal raises.

    `signal.pause` sleeps through a signal that comes just before it.
    """
    with _signals() as arrived:
        while True:
            os.read(arrived, SIGNALS_MAX)


@contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that can be read when a signal has come; its handler runs before the read."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)


class _PassingOn:
    """Signals that this process gets, for a child that is there or soon will be."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def __call__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def handle(self, number: int, _: FrameType | None) -> None:
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


@contextmanager
def _passing_on() -> Iterator[_PassingOn]:
    passing = _PassingOn()
    before = {number: signal.getsignal(number) for number in (*FROM_THE_TERMINAL, *TO_END)}
    try:
        for number in FROM_THE_TERMINAL:
            # Not SIG_IGN, which the child would inherit; a handler becomes the default again.
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        for number in TO_END:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, passing.handle)
        yield passing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _terminal_kept() -> Iterator[None]:
    """The terminal's attributes, put back also after a program that had no chance to do so."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with suppress(termios.error, OSError):  # the terminal itself may be gone
            # In the background this process would be stopped for it.
            ours = os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
            if ours and termios.tcgetattr(sys.stdin) != before:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _exit(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
