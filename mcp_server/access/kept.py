"""What the local authorization server keeps over a restart: clients, and digests of refresh tokens.

A file beside that of the pass phrase, readable by its owner alone. Several servers may share it:
each has a part of its own, by its issuer.
"""

import fcntl
import json
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.shared.auth import OAuthClientInformationFull
from pydantic import ValidationError

from mcp_server.access.grants import Grant
from mcp_server.errors import ScopeError

FORMAT = 1
ISSUERS_MAX = 16
"""Servers on a port of their own; beyond it, the one that was longest not written is forgotten."""

Clients = OrderedDict[str, OAuthClientInformationFull]
Refresh = OrderedDict[str, Grant]


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of one issuer in a file."""

    file: Path
    issuer: str

    def read(self) -> tuple[Clients, Refresh]:
        """Clients by their id, grants by digest. Raises ScopeError for a file that is not ours."""
        part = self._parts().get(self.issuer, {})
        try:
            clients = [OAuthClientInformationFull.model_validate(one) for one in part["clients"]]
            refresh = [
                (name, Grant(client, tuple(scopes), family, until, used=used))
                for name, client, scopes, family, until, used in part["refresh"]
            ]
        except KeyError:
            return OrderedDict(), OrderedDict()
        except (TypeError, ValueError, ValidationError) as error:
            raise ScopeError(f"{self.file} is damaged: remove it, and clients ask again") from error
        return OrderedDict((each.client_id, each) for each in clients), OrderedDict(refresh)

    def write(self, clients: Clients, refresh: Refresh) -> None:
        """Put the part in the place of the last one, whole or not at all. Raises OSError."""
        part = {
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
            new = self.file.with_name(f"{self.file.name}.new")
            with _private(new, os.O_TRUNC) as written:
                os.write(written, json.dumps({"format": FORMAT, "issuers": parts}).encode())
                os.fsync(written)
            new.replace(self.file)

    def _parts(self) -> dict[str, Any]:
        try:
            told = json.loads(self.file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ScopeError(f"cannot read {self.file}: {type(error).__name__}") from error
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise ScopeError(f"{self.file} was written by another release: move it away")
        parts: dict[str, Any] = told["issuers"]
        return parts

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other server writes the file."""
        with _private(self.file.with_name(f"{self.file.name}.lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _private(file: Path, flags: int = 0) -> Iterator[int]:
    """A file that its owner alone reads, and that no link leads elsewhere."""
    opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o600)
    try:
        yield opened
    finally:
        os.close(opened)
