"""Where the host of a state directory is: what its file `host.json` says."""

import json
from pathlib import Path

from cluster_runtime.api.calls import HostFacts
from cluster_runtime.api.client.transport import EndpointUnreachableError
from cluster_runtime.api.protocols.codec import decode

FILE = "host.json"


def read_facts(directory: Path) -> HostFacts | None:
    """Who hosts, or hosted last, this directory or the one that it is a copy of; None: nobody."""
    try:
        facts: HostFacts = decode(HostFacts, json.loads((directory / FILE).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return facts


def host_of(directory: Path) -> HostFacts | None:
    """Who hosts, or hosted last; None where nobody has said so of this very directory."""
    facts = read_facts(directory)
    return None if facts is None or facts.directory not in (None, identity_of(directory)) else facts


def identity_of(directory: Path) -> str:
    """What tells a directory from each copy of it, wherever it is moved to."""
    found = directory.stat()
    return f"{found.st_dev}:{found.st_ino}"


def socket_of(directory: Path) -> Path:
    """The socket of the host. Raises EndpointUnreachableError where nobody has hosted yet."""
    facts = host_of(directory)
    if facts is None:
        raise EndpointUnreachableError(f"nobody hosts {directory}; is its host running?")
    return facts.socket
