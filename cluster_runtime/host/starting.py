"""A host in the background, started once however many ask for it at the same moment.

Who asks holds a lock until the host takes calls, or says why it does not: through a pipe that it
inherits. All others wait for the lock, and then find the host.
"""

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster_runtime.api.protocols.codec import encode
from cluster_runtime.api.protocols.said import decode_error, encode_error
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.engine import children
from cluster_runtime.engine.system.locks import exclusive
from cluster_runtime.engine.system.resources import saying_no_space
from cluster_runtime.errors import BorealisError, HostUnavailableError, StateDirectoryInUseError
from cluster_runtime.host.attaching import Step, next_step
from cluster_runtime.host.idling import IDLE_SECONDS
from cluster_runtime.host.log_file import LOG
from cluster_runtime.host.place import look

START_LOCK = "start.lock"
OUTPUT = "log/host.out"
"""What a background host writes to its standard output and error: nothing, unless it breaks."""
READY = b"ready\n"
MEMORY = {"MALLOC_ARENA_MAX": "2"}
"""glibc would give many threads of a long-lived host heaps of their own, each with its waste."""


def arguments_for(options: RuntimeOptions, idle_seconds: float | None = None) -> list[str]:
    """The arguments of a background host with these options."""
    idle = IDLE_SECONDS if idle_seconds is None else idle_seconds
    return [f"--options={json.dumps(encode(options))}", f"--idle-seconds={idle}"]


def start_in_background(directory: Path, arguments: list[str]) -> None:
    """Start a host, unless there is one by now; it takes calls when this returns.

    Raises what opening the directory raises in the host, and HostUnavailableError.
    """
    with saying_no_space(directory), exclusive(directory / START_LOCK):
        seen, _ = look(directory)
        if next_step(seen, 0.0) is Step.TAKE:
            _start(directory, arguments)


def tell_ready(pipe: int) -> None:
    """Say that the host takes calls. For the host."""
    _tell(pipe, READY)


def tell_error(pipe: int, error: BorealisError) -> None:
    """Say why the host does not start. For the host."""
    _tell(pipe, json.dumps(encode_error(error)).encode())


def _start(directory: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    try:
        (directory / OUTPUT).parent.mkdir(mode=0o700, exist_ok=True)
        with (directory / OUTPUT).open("wb") as output:
            process = children.start(
                [
                    *(sys.executable, "-P", "-m", __package__),
                    *(str(directory), f"--ready={writing}", *arguments),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(writing,),
                preexec_fn=children.hear_signals,
                cwd="/",
                env=MEMORY | _environment() | {"PYTHONPATH": _python_path()},
            )
    finally:
        os.close(writing)
    # Whoever starts a process must take note of its end, or it stays as a zombie.
    threading.Thread(target=process.wait, name="borealis-host-end", daemon=True).start()
    with open(reading, "rb") as pipe:
        said = pipe.read()
    if said == READY:
        return
    error = _error_of(said)
    if error is None:
        written = (directory / OUTPUT).read_text(errors="replace").strip()
        last = written.splitlines()[-1] if written else "without a word"
        raise HostUnavailableError(
            f"the host of {directory} ended while it started: {last}; {directory / OUTPUT} and "
            f"{directory / LOG} say more"
        )
    # Another one was faster: it is found in a moment.
    if not isinstance(error, StateDirectoryInUseError):
        raise error


def _error_of(said: bytes) -> BorealisError | None:
    try:
        data: Any = json.loads(said)
    except ValueError:
        return None
    return decode_error(data)


def _environment() -> dict[str, str]:
    """Ours, without what it says to libpq: that is about servers of whoever asked."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _python_path() -> str:
    """Where this package was found, for a host that starts in another directory."""
    home = str(Path(__file__).parents[2])
    before = os.environ.get("PYTHONPATH")
    return f"{home}{os.pathsep}{before}" if before else home


def _tell(pipe: int, said: bytes) -> None:
    with suppress(BrokenPipeError), open(pipe, "wb") as writing:
        writing.write(said)
