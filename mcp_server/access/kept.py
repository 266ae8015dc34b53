"""What the local authorization server keeps over a restart: clients, and digests of refresh tokens.

A file beside that of the pass phrase, readable by its owner alone. Several servers may share it:
each has a part of its own, by its issuer. A part tells by which pass phrase its clients were let
in: what another one has allowed is good no longer.
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp.shared.auth import OAuthClientInformationFull
from pydantic import ValidationError

from mcp_server.access.grants import Grant
from mcp_server.errors import ScopeError

FORMAT = 1
ISSUERS_MAX = 16
"""Servers on a port of their own; beyond it, the one that was longest not written is forgotten."""

LOCKING = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

Clients = OrderedDict[str, OAuthClientInformationFull]
Refresh = OrderedDict[str, Grant]


@dataclass(slots=True)
class Kept:
    """The part of one issuer in a file."""

    file: Path
    issuer: str
    passphrase: str = field(repr=False)
    _proof: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._proof = _proof(self.passphrase, secrets.token_hex(16))

    def opened(self) -> tuple[Clients, Refresh]:
        """Clients by their id, grants by digest; none that another pass phrase has allowed.

        Of a part that was written before parts told their pass phrase, all is believed once.
        Raises ScopeError for a file that is not ours, and for one that cannot be written.
        """
        part = self._parts().get(self.issuer)
        if part is None:
            return OrderedDict(), OrderedDict()
        clients, refresh = self._read(part)
        proof = part.get("passphrase")
        if proof is not None and self._proves(proof):
            return clients, refresh
        if proof is not None:
            refresh = OrderedDict()
        try:
            self.write(clients, refresh)  # or the former pass phrase would allow it once more
        except OSError as error:
            raise ScopeError(f"cannot write {self.file}: {error.strerror}") from error
        return clients, refresh

    def _read(self, part: Any) -> tuple[Clients, Refresh]:
        try:
            clients = [OAuthClientInformationFull.model_validate(one) for one in part["clients"]]
            refresh = [
                (name, Grant(client, tuple(scopes), family, until, used=used))
                for name, client, scopes, family, until, used in part["refresh"]
            ]
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise self._damaged() from error
        return OrderedDict((each.client_id, each) for each in clients), OrderedDict(refresh)

    def write(self, clients: Clients, refresh: Refresh) -> None:
        """Put the part in the place of the last one, whole or not at all. Raises OSError."""
        part = {
            "passphrase": self._proof,
            "clients": [
                each.model_dump(mode="json", exclude_none=True) for each in clients.values()
            ],
            "refresh": [
                (name, one.client_id, one.scopes, one.family, one.until, one.used)
                for name, one in refresh.items()
            ],
        }
        with self._alone():
            others = [item for item in self._parts().items() if item[0] != self.issuer]
            parts = dict([*others, (self.issuer, part)][-ISSUERS_MAX:])
            opened, new = tempfile.mkstemp(prefix=f"{self.file.name}.", dir=self.file.parent)
            try:
                with os.fdopen(opened, "w") as written:
                    json.dump({"format": FORMAT, "issuers": parts}, written)
                    written.flush()
                    os.fsync(opened)
                os.replace(new, self.file)
            except BaseException:
                with suppress(OSError):
                    os.unlink(new)
                raise

    def _proves(self, proof: object) -> bool:
        """Whether a part was written under the pass phrase of now."""
        salt = str(proof).partition(":")[0]
        return hmac.compare_digest(_proof(self.passphrase, salt).encode(), str(proof).encode())

    def _parts(self) -> dict[str, Any]:
        try:
            told = json.loads(_own_text(self.file))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ScopeError(f"cannot read {self.file}: {type(error).__name__}") from error
        if not isinstance(told, dict):
            raise self._damaged()
        if told.get("format") != FORMAT:
            raise ScopeError(f"{self.file} was written by another release: move it away")
        parts = told.get("issuers")
        if not isinstance(parts, dict):
            raise self._damaged()
        return parts

    def _damaged(self) -> ScopeError:
        return ScopeError(f"{self.file} is damaged: remove it, and clients ask again")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other server writes the file."""
        lock = os.open(self.file.with_name(f"{self.file.name}.lock"), LOCKING, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _proof(passphrase: str, salt: str) -> str:
    """What tells a pass phrase without holding it."""
    made = hashlib.scrypt(passphrase.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=32)
    return f"{salt}:{made.hex()}"


def _own_text(file: Path) -> str:
    """What a file says that nobody else can have written. Raises OSError, ScopeError."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)) as opened:
        facts = os.fstat(opened.fileno())
        if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
            raise ScopeError(
                f"{file} says who may come in, and others than its owner may read or write it: "
                "remove it, or make it yours alone (chmod 600)"
            )
        return opened.read()
