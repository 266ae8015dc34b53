"""Where the host of a state directory is: what its file `host.json` says."""

import json
from pathlib import Path

from cluster_runtime.api.calls import HostFacts
from cluster_runtime.api.client.transport import EndpointUnreachableError
from cluster_runtime.api.protocols.codec import decode

FILE = "host.json"


def read_facts(directory: Path) -> HostFacts | None:
    """Who hosts, or hosted last; None where nobody has said so."""
    try:
        facts: HostFacts = decode(HostFacts, json.loads((directory / FILE).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return facts


def socket_of(directory: Path) -> Path:
    """The socket of the host. Raises EndpointUnreachableError where nobody has hosted yet."""
    facts = read_facts(directory)
    if facts is None:
        raise EndpointUnreachableError(f"nobody hosts {directory}; is its host running?")
    return facts.socket
