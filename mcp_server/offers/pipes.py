"""Standard input and output of a client, read and written on the event loop.

The SDK's own streams hand every line to a thread and back, which takes longer than a short query.
No descriptor is made non-blocking here: others may share it, such as the output with the errors. A
pipe that can be read gives what there is, and one that can be written takes PIPE_BUF bytes.
"""

import fcntl
import os
import select
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

STDIN, STDOUT, STDERR = 0, 1, 2
READ_BYTES = 65_536


class Input:
    """Lines of UTF-8 from a pipe; what is none is replaced, as the SDK does."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def __aiter__(self) -> AsyncIterator[str]:
        held = bytearray()
        while True:
            await anyio.wait_readable(self._fd)
            said = os.read(self._fd, READ_BYTES)
            *lines, rest = said.split(b"\n")
            for line in lines:
                yield (held + line).decode(errors="replace")
                held.clear()
            held += rest
            if not said:
                break
        if held:
            yield held.decode(errors="replace")


class Output:
    """What is written to a pipe, whole."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    async def write(self, text: str) -> None:
        """Write a text. Raises BrokenPipeError where nobody reads any more."""
        left = memoryview(text.encode())
        while left:
            if not self._poll.poll(0):
                await anyio.wait_writable(self._fd)
            left = left[os.write(self._fd, left[: select.PIPE_BUF]) :]

    async def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def standard_pipes() -> Iterator[tuple[Input, Output] | None]:
    """Those of this process; None where they are no pipes, but files or a terminal.

    Meanwhile nobody else reads of the input, and what others print goes to the errors.
    """
    if not (_is_pipe(STDIN) and _is_pipe(STDOUT)):
        yield None
        return
    with open(os.devnull, "rb") as nothing:
        empty = nothing.fileno()
        with _moved(STDIN, empty) as reads, _moved(STDOUT, STDERR) as writes:
            yield Input(reads), Output(writes)


@contextmanager
def _moved(fd: int, instead: int) -> Iterator[int]:
    """A descriptor under another number; what uses the known one gets another meanwhile."""
    own = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STDERR + 1)
    try:
        os.dup2(instead, fd)
        yield own
    finally:
        os.dup2(own, fd)
        os.close(own)


def _is_pipe(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
