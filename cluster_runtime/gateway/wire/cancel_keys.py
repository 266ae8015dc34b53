"""Which CancelRequests are for a session of ours: those that carry the key it was given."""

import asyncio
import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

CANCELS_WAITING_MAX = 4
KEY_BYTES = 4  # of a pid that nobody has; the time that its comparison takes tells nothing


@dataclass(frozen=True, slots=True)
class BackendKey:
    """BackendKeyData, and what a CancelRequest repeats: a server process and its secret.

    secret: 4 bytes, from protocol 3.2 on up to 256.
    """

    pid: int
    secret: bytes = field(repr=False)


@dataclass(eq=False, slots=True)
class CancelTarget:
    """A session that can be cancelled. path: the server's socket file.

    turn: one request at a time. waiting: how many there are; those beyond CANCELS_WAITING_MAX are
    let go, since one that waits will be heard after them.
    """

    key: BackendKey
    path: Path
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class CancelKeys:
    """The keys of one endpoint's sessions."""

    def __init__(self) -> None:
        self._targets: dict[int, CancelTarget] = {}

    def add(self, target: CancelTarget) -> None:
        """From now on. A process id comes again after its session's end, when nobody asks for
        the older one any more.
        """
        self._targets[target.key.pid] = target

    def discard(self, target: CancelTarget) -> None:
        """Forget a target, unless another one has taken its key."""
        if self._targets.get(target.key.pid) is target:
            del self._targets[target.key.pid]

    def find(self, key: BackendKey) -> CancelTarget | None:
        """The session of exactly this key. Takes the same time for every key of a length."""
        target = self._targets.get(key.pid)
        secret = target.key.secret if target is not None else secrets.token_bytes(KEY_BYTES)
        return target if hmac.compare_digest(secret, key.secret) else None
