"""Standard input and output as pipes: whole lines, whole answers, nothing of anybody else's."""

import os
import socket
import subprocess
import sys
from typing import Any

import anyio
import pytest

from mcp_server.offers.pipes import Input, Output

LONG = "é" * 300_000 + "\n"
"""More than a pipe holds; cut anywhere, some of its characters are cut too."""


async def test_lines_come_whole_however_they_were_sent() -> None:
    reads, writes = os.pipe()
    sent = f'{{"a": "ü"}}\n\n{LONG}last, without an end'.encode() + b" \xff"
    got: list[str] = []

    async def send() -> None:
        with os.fdopen(writes, "wb", buffering=0) as pipe:
            await anyio.to_thread.run_sync(pipe.write, sent[:7])  # within a character
            for at in range(7, len(sent), 50_001):
                await anyio.to_thread.run_sync(pipe.write, sent[at : at + 50_001])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        async for line in Input(reads):
            got.append(line)
    os.close(reads)
    assert got == ['{"a": "ü"}', "", LONG[:-1], "last, without an end \ufffd"]


async def test_what_is_longer_than_a_pipe_is_written_while_others_go_on() -> None:
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    output, got = Output(writes), bytearray()

    async def read() -> None:
        while len(got) < len(LONG.encode()):
            await anyio.wait_readable(reads)
            got.extend(os.read(reads, 65_536))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await output.write(LONG)
        await output.flush()
    assert got.decode() == LONG
    os.close(reads)
    with pytest.raises(BrokenPipeError):
        await output.write("nobody reads")
    os.close(writes)


SERVED = """
import anyio, os, sys
from mcp_server.offers.pipes import standard_pipes

async def serve():
    with standard_pipes() as pipes:
        if pipes is None:
            print("no pipes")
            return
        reads, writes = pipes
        print("from elsewhere", flush=True)
        os.system("echo from a child; cat")
        async for line in reads:
            await writes.write(f"heard {line}\\n")
    print("afterwards")

anyio.run(serve, backend_options={"use_uvloop": True})
"""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_others_print_or_read_is_not_the_clients(kind: str) -> None:
    command = [sys.executable, "-c", SERVED]
    if kind == "pipe":
        given: dict[str, Any] = {"input": b"one\ntwo\n", "stdout": subprocess.PIPE}
        done = subprocess.run(command, stderr=subprocess.PIPE, check=True, **given)
        out, err = done.stdout, done.stderr
    else:  # as Node.js gives them
        ours, its = socket.socketpair()
        with ours, ours.makefile("rb") as answers:
            with its:
                process = subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.PIPE)
            ours.sendall(b"one\ntwo\n")
            ours.shutdown(socket.SHUT_WR)
            out = answers.read()
            _, err = process.communicate()
    assert out == b"heard one\nheard two\nafterwards\n", err
    assert err == b"from elsewhere\nfrom a child\n"


def test_files_are_left_to_the_sdk() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVED], stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    assert done.stdout == b"no pipes\n"
