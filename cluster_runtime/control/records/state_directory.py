"""The state directory: one host at a time, and the keys it keeps.

state directory (0700)
    lock                 held by the hosting process; names it
    host.json, host.sock who hosts, and where attached processes ask it (`cluster_runtime.host`)
    catalog.sqlite       which clusters exist
    credentials          access keys in the AWS shared credentials format (0600)
    backup.key           what the data keys of backups are wrapped with (0600)
    backups/             backups, unless they are kept elsewhere
    secret.key           what managed master passwords are made of (0600)
    tls/                 the gateway's certificate authority
    engine/              data directories, unless PostgreSQL's user cannot reach them here
"""

import configparser
import os
import secrets
import string
import time
from dataclasses import dataclass, field
from pathlib import Path

from cluster_runtime.engine.system.locks import try_exclusive
from cluster_runtime.errors import StateDirectoryError, StateDirectoryInUseError
from cluster_runtime.wording import Parameter

ACCESS_KEY_CHARACTERS = 16
SECRET_KEY_BYTES = 30
LOOKS = 5
LOOK_SECONDS = 0.01
MANAGED_KEY_BYTES = 32
_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key pair; the secret half stays out of every repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class StateDirectory:
    """A state directory that this process holds the lock of."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "StateDirectory":
        """Take the lock. Raises StateDirectoryInUseError, StateDirectoryError."""
        directory = prepare(path)
        lock = _take(directory / "lock")
        if lock is None:
            raise StateDirectoryInUseError(
                f"state directory {directory} is hosted by process {holder_of(directory)}; "
                "stop that one, or name another directory with ",
                Parameter("state_dir"),
            )
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return cls(directory, lock)

    def access_key(self) -> AccessKey:
        """The runtime's own access key, made on first use."""
        path = self.path / "credentials"
        parser = configparser.ConfigParser(interpolation=None)
        if not path.exists():
            alphabet = string.ascii_uppercase + string.digits
            suffix = "".join(secrets.choice(alphabet) for _ in range(ACCESS_KEY_CHARACTERS))
            parser[_PROFILE] = {
                "aws_access_key_id": f"AKIA{suffix}",
                "aws_secret_access_key": secrets.token_urlsafe(SECRET_KEY_BYTES),
            }
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                parser.write(file)
            partial.rename(path)
        return read_access_key(self.path)

    def secret_key(self) -> bytes:
        """What managed passwords are made of, made on first use. Raises StateDirectoryError."""
        path = self.path / "secret.key"
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.unlink(missing_ok=True)
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(MANAGED_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            partial.rename(path)
        key = path.read_bytes()
        if len(key) != MANAGED_KEY_BYTES:
            raise StateDirectoryError(f"{path} holds no key; put back a copy of it")
        return key

    def close(self) -> None:
        """Give the lock back, so that another process may host the directory."""
        os.close(self._lock)


def prepare(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a state directory, which is made where missing.

    Raises StateDirectoryError where this user cannot have it.
    """
    directory = Path(path).expanduser().absolute()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _check_owner(directory)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(directory)
    except (FileExistsError, NotADirectoryError) as error:
        raise StateDirectoryError(
            f"{directory} is not a directory; name another with ", Parameter("state_dir")
        ) from error
    except PermissionError as error:
        raise StateDirectoryError(
            f"{directory} is not writable for this user; name another with ",
            Parameter("state_dir"),
        ) from error
    except OSError as error:
        raise StateDirectoryError(
            f"{directory} cannot be made or read: {error.strerror}; name another with ",
            Parameter("state_dir"),
        ) from error
    return directory


def is_hosted(directory: Path) -> bool:
    """Whether a process holds the lock of a state directory."""
    try:
        lock = try_exclusive(directory / "lock")
    except PermissionError as error:
        raise StateDirectoryError(
            f"{directory} is not writable for this user; name another with ",
            Parameter("state_dir"),
        ) from error
    if lock is None:
        return True
    os.close(lock)
    return False


def holder_of(directory: Path) -> str:
    """The process that holds the lock, or `unknown` where it has not said so yet."""
    try:
        said = (directory / "lock").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        said = ""
    return said or "unknown"


def read_access_key(directory: Path) -> AccessKey:
    """The access key that a host of the directory has made. Raises StateDirectoryError."""
    path = directory / "credentials"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path)
        section = parser[_PROFILE]
        return AccessKey(section["aws_access_key_id"], section["aws_secret_access_key"])
    except (configparser.Error, KeyError) as error:
        raise StateDirectoryError(
            f"{path} holds no access key for profile {_PROFILE!r}; move it away for a new one"
        ) from error


def _take(path: Path) -> int | None:
    """The lock, or None where a host has it: whoever only looks has it for an instant."""
    for _ in range(LOOKS):
        lock = try_exclusive(path)
        if lock is not None:
            return lock
        time.sleep(LOOK_SECONDS)
    return None


def _check_owner(directory: Path) -> None:
    status = directory.stat()
    if status.st_uid != os.geteuid():
        raise StateDirectoryError(
            f"state directory {directory} belongs to user id {status.st_uid}, this process runs as "
            f"{os.geteuid()}; name a directory of your own with ",
            Parameter("state_dir"),
        )
