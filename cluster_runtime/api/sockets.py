"""Where the socket of a state directory's endpoint is."""

import os
from pathlib import Path

SOCKET_NAME = "api.sock"
SOCKET_PATH_MAX_BYTES = 90
"""Less than the 104 bytes that platforms let the name of a socket have, by those of its making."""


def socket_path(state_dir: Path) -> Path:
    """Where the socket of a state directory is: inside, or in a short folder of its user's.

    The short folder is named after the state directory, so that whoever looks for it finds it.
    """
    inside = state_dir / SOCKET_NAME
    if len(os.fsencode(inside)) <= SOCKET_PATH_MAX_BYTES:
        return inside
    facts = state_dir.stat()
    # Not where the environment says: host and clients must find the same place.
    name = f"borealis-{os.geteuid()}-{facts.st_dev:x}-{facts.st_ino:x}"
    return Path("/tmp") / name / SOCKET_NAME
