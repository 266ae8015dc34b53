"""The access keys that requests may be signed with: the state directory's, and sessions of them."""

import configparser
import os
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cluster_runtime.api.access.signature import SigningKey
from cluster_runtime.errors import StateDirectoryError

ACCOUNT = "000000000000"
"""The account that everything local belongs to, in ARNs."""
USER = "borealis"
"""The one user of a state directory."""
SESSIONS_MAX = 1000
_KEY_ID_CHARACTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Identity:
    """Who an access key stands for. session: `role/name` of a session of AssumeRole."""

    access_key_id: str
    session: str | None = None

    @property
    def arn(self) -> str:
        """The ARN that GetCallerIdentity shows."""
        if self.session is None:
            return f"arn:aws:iam::{ACCOUNT}:user/{USER}"
        return f"arn:aws:sts::{ACCOUNT}:assumed-role/{self.session}"


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials; all of it but the key id and the end is secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires: datetime
    role: str


class Credentials:
    """Keys by access key id. Used on one event loop."""

    def __init__(self, keys: Mapping[str, SigningKey], directory: Path | None = None) -> None:
        """directory: the state directory that they are of."""
        self.directory = directory
        self._keys = dict(keys)
        self._sessions: dict[str, str] = {}

    @classmethod
    def read(cls, state_dir: str | os.PathLike[str]) -> "Credentials":
        """Those of a state directory's `credentials`, which its host has made.

        Raises StateDirectoryError where there is no such file or it holds no key.
        """
        path = Path(state_dir).expanduser() / "credentials"
        parser = configparser.ConfigParser(interpolation=None)
        try:
            with path.open(encoding="utf-8") as file:
                parser.read_file(file)
            keys = {
                section["aws_access_key_id"]: SigningKey(section["aws_secret_access_key"])
                for section in (parser[name] for name in parser.sections())
            }
        except (OSError, configparser.Error, KeyError) as error:
            raise StateDirectoryError(
                f"{path} holds no access key; its state directory must have been opened once"
            ) from error
        return cls(keys, path.parent)

    @property
    def first(self) -> tuple[str, SigningKey]:
        """A permanent access key id and its key, for those who sign with it."""
        return next((key_id, key) for key_id, key in self._keys.items() if key.expires is None)

    def key(self, access_key_id: str) -> SigningKey | None:
        """The key of an id, expired or not; None where it is unknown."""
        return self._keys.get(access_key_id)

    def identity(self, access_key_id: str) -> Identity:
        """Who signs with a known key."""
        return Identity(access_key_id, self._sessions.get(access_key_id))

    def new_session(self, role: str, name: str, lifetime: timedelta, now: datetime) -> Session:
        """Make temporary credentials, which count from now on; expired ones are forgotten."""
        over = [key_id for key_id, key in self._keys.items() if key.expires and key.expires <= now]
        kept = [key_id for key_id in self._sessions if key_id not in over]
        for key_id in [*over, *kept[: max(0, len(kept) - SESSIONS_MAX + 1)]]:
            self._keys.pop(key_id)
            self._sessions.pop(key_id, None)
        suffix = "".join(secrets.choice(_KEY_ID_CHARACTERS) for _ in range(16))
        session = Session(
            access_key_id=f"ASIA{suffix}",
            secret_access_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(96),
            expires=now + lifetime,
            role=role,
        )
        self._keys[session.access_key_id] = SigningKey(
            session.secret_access_key, session.session_token, session.expires
        )
        self._sessions[session.access_key_id] = f"{role}/{name}"
        return session
