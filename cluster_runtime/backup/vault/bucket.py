"""Where objects are: a local directory, or any S3-compatible bucket, by `obstore`.

Source: object_store's error kinds; a request that fails is tried again for some seconds there.
"""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from cluster_runtime.engine.system.files import is_no_space
from cluster_runtime.errors import (
    BackupStoreRefusedError,
    BackupStoreUnavailableError,
    InsufficientStorageError,
    InvalidParameterError,
)

if TYPE_CHECKING:
    from obstore.store import LocalStore, S3Store

REQUEST_TIMEOUT_S = 10
RETRY_TIMEOUT_S = 10
RETRIES = 3
RESERVE_BYTES, RESERVE_SHARE = 1 << 30, 20
"""A local directory is filled up to a gigabyte, or a twentieth of a small disk."""
CREDENTIALS_KEPT = timedelta(minutes=5)
_TOLD = {tag: re.compile(f"<{tag}>([^<]*)</{tag}>") for tag in ("Code", "Message")}
_CLIENT = {"timeout": f"{REQUEST_TIMEOUT_S}s", "connect_timeout": "5s"}
_OPTIONS = frozenset({"endpoint", "region"})


class ObjectMissingError(LookupError):
    """There is no object of that name."""


class Bucket:
    """A flat name space of objects. Blocking, from any thread.

    location: an absolute path, or a URL: `file:///backups`, `s3://bucket/prefix`, with
    `?endpoint=http://127.0.0.1:9000&region=eu-central-1` for what is not Amazon's.
    """

    def __init__(self, location: str) -> None:
        """Raises InvalidParameterError for a location that is none."""
        self.location = location
        self._directory: Path | None = None
        self._store = self._opened(location)

    def __repr__(self) -> str:
        return f"<bucket {self.location}>"

    def where(self, name: str) -> str:
        """An object in words, for errors."""
        return f"{self.location.partition('?')[0].rstrip('/')}/{name}"

    def put(self, name: str, content: bytes) -> None:
        """Keep an object, whole or not at all. Raises what `_told` says."""
        import obstore

        with self._told(name):
            if self._directory is not None:
                _require_space(self._directory)
            # In one request: a part of an upload that was cut short would be paid for, unseen.
            obstore.put(self._store, name, content, use_multipart=False)
            if self._directory is not None:
                _make_durable(self._directory / name)

    def get(self, name: str) -> bytes:
        """An object. Raises ObjectMissingError, and what `_told` says."""
        import obstore

        with self._told(name):
            return bytes(obstore.get(self._store, name).bytes())

    def names(self, folder: str) -> list[str]:
        """The objects whose names begin with a folder's, which is left out. In order."""
        return [name for name, _ in self.sizes(folder)]

    def sizes(self, folder: str) -> list[tuple[str, int]]:
        """The same with the size of each object."""
        import obstore

        prefix = f"{folder.rstrip('/')}/"
        with self._told(prefix):
            found = [
                (each["path"].removeprefix(prefix), each["size"])
                for part in obstore.list(self._store, prefix)
                for each in part
            ]
        return sorted(found)

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly below one."""
        import obstore

        prefix = f"{folder.rstrip('/')}/"
        with self._told(prefix):
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
        return sorted(each.rstrip("/").rpartition("/")[2] for each in found)

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects, in any order; one that is not there is as good."""
        import obstore
        from obstore.exceptions import NotFoundError

        if self._directory is None:
            # A thousand in a request.
            with self._told(names[0] if names else ""):
                obstore.delete(self._store, list(names))
            return
        for name in names:
            with self._told(name), suppress(NotFoundError, FileNotFoundError):
                obstore.delete(self._store, name)

    def _opened(self, location: str) -> "LocalStore | S3Store":
        from obstore.store import LocalStore, S3Store

        url = urlsplit(location)
        if url.scheme in ("", "file") and url.path.startswith("/") and not url.netloc:
            self._directory = Path(url.path)
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                return LocalStore(self._directory, automatic_cleanup=True)
            except OSError as error:
                raise InvalidParameterError(
                    f"backups cannot be kept in {url.path}: {error.strerror}"
                ) from error
        options = dict(parse_qsl(url.query))
        if url.scheme != "s3" or not url.netloc or not options.keys() <= _OPTIONS:
            raise InvalidParameterError(
                f"{location!r} is no place for backups; give an absolute path, or "
                "s3://BUCKET[/PREFIX][?endpoint=URL&region=REGION]"
            )
        return S3Store(
            url.netloc,
            prefix=url.path.strip("/") or None,
            config=_s3_config(options),
            client_options=_client(options.get("endpoint", "")),
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
            },
            credential_provider=AwsCredentials(),
        )

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Errors of the store in the product's words.

        Raises ObjectMissingError, BackupStoreRefusedError, BackupStoreUnavailableError,
        InsufficientStorageError.
        """
        from obstore.exceptions import (
            BaseError,
            NotFoundError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            yield
        except (NotFoundError, FileNotFoundError) as error:
            if "NoSuchBucket" in str(error):
                raise BackupStoreRefusedError(
                    f"there is no bucket at {self.where('')}; make it, or name another one"
                ) from error
            raise ObjectMissingError(self.where(name)) from error
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise BackupStoreRefusedError(
                f"{self.where(name)} is not to be had with the credentials that there are "
                f"({_reason(error)}); give this host others, or the right to list, read, write and "
                "delete objects there"
            ) from error
        except (BaseError, OSError) as error:
            text = _reason(error)
            if is_no_space(error) or "os error 28" in str(error):
                raise InsufficientStorageError(
                    f"no space to keep {self.where(name)}; free some"
                ) from error
            raise BackupStoreUnavailableError(
                f"{self.where(name)} cannot be reached: {text}"
            ) from error


class AwsCredentials:
    """Credentials as the AWS tools find them: environment, profile, role of the machine."""

    def __init__(self) -> None:
        from botocore.session import Session

        self._found = Session().get_credentials()

    def __call__(self) -> Any:
        """What object_store asks for. Raises PermissionError where there are none."""
        if self._found is None:
            raise PermissionError("no AWS credentials are configured for this process")
        frozen = self._found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + CREDENTIALS_KEPT,
        }


def _s3_config(options: Mapping[str, str]) -> Any:
    region = options.get("region") or os.environ.get("AWS_REGION") or "us-east-1"
    config: dict[str, Any] = {"region": region}
    if "endpoint" in options:
        config |= {"endpoint": options["endpoint"], "virtual_hosted_style_request": False}
    return config


def _client(endpoint: str) -> Any:
    return {**_CLIENT, "allow_http": endpoint.startswith("http://")}


def _reason(error: BaseException) -> str:
    """What an error of object_store's says, in one line.

    Of an answer of S3 its code and message alone: the rest quotes the request, with its signature.
    """
    text, _, answer = str(error).partition("<?xml")
    told = [found[1] for tag in ("Code", "Message") if (found := _TOLD[tag].search(answer))]
    return " ".join((text.partition("\n")[0].strip(), *told))[:300]


def _require_space(directory: Path) -> None:
    """Leave some to the databases, which share the disk. Raises OSError."""
    found = os.statvfs(directory)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    if free < min(RESERVE_BYTES, size // RESERVE_SHARE):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _make_durable(path: Path) -> None:
    """object_store renames a whole file into place; a power cut would take it back."""
    for each in (path, path.parent):
        descriptor = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
