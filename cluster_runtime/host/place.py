"""Where a host is found: its file in the state directory, and its socket.

`host.json` says who hosts and where he listens; only its owner may read it. The socket lies beside
it, unless the path is too long for one: then in a folder of its own under the system's temporary
directory, which the file names.
"""

import json
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from cluster_runtime.api.calls import HostFacts
from cluster_runtime.api.client.finding import FILE, host_of
from cluster_runtime.api.protocols.codec import encode
from cluster_runtime.control.records.state_directory import holder_of, is_hosted
from cluster_runtime.host.attaching import Seen

SOCKET_NAME = "host.sock"
SOCKET_PATH_MAX_BYTES = 100
"""sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing NUL included."""
BACKLOG = 128
_FOLDER = "borealis-host-"


def write_facts(directory: Path, facts: HostFacts) -> None:
    """Say who hosts. For the holder of the lock."""
    partial = directory / f"{FILE}.partial"
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(encode(facts), file)
    partial.rename(directory / FILE)


def look(directory: Path) -> tuple[Seen, HostFacts | None]:
    """What is to be seen of a state directory now."""
    facts = host_of(directory)
    if facts is not None and facts.state == "ready" and answers(facts.socket):
        return Seen(locked=True, named=True, protocol=facts.protocol, answers=True), facts
    if not is_hosted(directory):
        return Seen(locked=False), None
    named = facts is not None and str(facts.pid) == holder_of(directory)
    return Seen(locked=True, named=named), facts


def answers(path: Path) -> bool:
    """Whether somebody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        return sock.connect_ex(str(path)) == 0


def new_socket_path(directory: Path) -> Path:
    """Where a new host listens; nothing is there yet. For the holder of the lock."""
    former = host_of(directory)
    if former is not None:
        remove_socket(former.socket)
    path = directory / SOCKET_NAME
    if len(bytes(path)) > SOCKET_PATH_MAX_BYTES:
        # Not where TMPDIR says: that may be as long.
        path = Path(tempfile.mkdtemp(prefix=_FOLDER, dir="/tmp")) / SOCKET_NAME
    path.unlink(missing_ok=True)
    return path


def listen(path: Path) -> socket.socket:
    """A socket that this user alone can connect to."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(0o600)  # nobody could connect so far: it does not listen yet
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def remove_socket(path: Path) -> None:
    """Remove a socket, and the folder that was made for it."""
    path.unlink(missing_ok=True)
    if path.parent.name.startswith(_FOLDER):
        with suppress(OSError):
            shutil.rmtree(path.parent)
