"""What was metered, durably: sums by cluster, hour and type of storage, in SQLite.

A cluster's account and what its last reading added are one transaction: a host that is killed at
any instant has counted that reading, or not, and the next one goes on from the account.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster_runtime.errors import InsufficientStorageError, StateDirectoryError
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.metering.usage import Account, Metered, Usage

VERSION = 1
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TABLES = """
create table account (
    resource_id text primary key,
    name text not null,
    tags text not null,
    until integer not null,
    storage_bytes integer not null,
    backup_bytes integer not null,
    storage_type text not null
) strict;
create table usage (
    resource_id text not null,
    hour integer not null,
    storage_type text not null,
    acu_ns integer not null,
    write_ios integer not null,
    read_ios integer not null,
    storage_byte_seconds integer not null,
    backup_byte_seconds integer not null,
    primary key (resource_id, hour, storage_type)
) strict, without rowid;
"""
_ADD = """
insert into usage values (?, ?, ?, ?, ?, ?, ?, ?)
on conflict (resource_id, hour, storage_type) do update set
    acu_ns = acu_ns + excluded.acu_ns,
    write_ios = write_ios + excluded.write_ios,
    read_ios = read_ios + excluded.read_ios,
    storage_byte_seconds = storage_byte_seconds + excluded.storage_byte_seconds,
    backup_byte_seconds = backup_byte_seconds + excluded.backup_byte_seconds
"""
_USED = """
select resource_id, storage_type, sum(acu_ns), sum(write_ios), sum(read_ios),
       sum(storage_byte_seconds), sum(backup_byte_seconds)
  from usage where hour >= ? group by resource_id, storage_type order by max(hour), storage_type
"""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A cluster in the ledger: its name and tags as they were last known, and its account."""

    name: str
    tags: tuple[tuple[str, str], ...]
    account: Account


class Ledger:
    """Blocking; safe to call from several threads."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> "Ledger":
        """Open or make the ledger. One that is damaged is put aside whole, and a new one begun.

        Raises StateDirectoryError for one of a newer release, or that the system does not open now;
        InsufficientStorageError where the disk is full.
        """
        try:
            return cls(_opened(path))
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code == sqlite3.SQLITE_FULL:
                raise InsufficientStorageError(
                    f"no space to open {path}: {error}; free some and try again"
                ) from error
            if code not in DAMAGED:
                raise StateDirectoryError(f"{path} cannot be opened: {error}") from error
            aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
            path.rename(aside)
            for tail in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    path.with_name(path.name + tail).rename(aside.with_name(aside.name + tail))
            _log.error("the ledger of metering is damaged", aside=str(aside), error=str(error))
            return cls(_opened(path))

    def entries(self) -> dict[str, Entry]:
        """All clusters that were ever metered, by resource id."""
        with self._lock:
            rows = self._connection.execute("select * from account").fetchall()
        return {
            row[0]: Entry(
                row[1], tuple((key, value) for key, value in json.loads(row[2])), Account(*row[3:])
            )
            for row in rows
        }

    def record(self, read: Mapping[str, tuple[Entry, Iterable[Metered]]]) -> None:
        """Keep readings of clusters, all of them or none. Raises InsufficientStorageError."""
        with self._lock:
            try:
                self._connection.execute("begin immediate")
                for resource_id, (entry, shares) in read.items():
                    self._put(resource_id, entry, shares)
                self._connection.execute("commit")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise InsufficientStorageError(f"usage cannot be noted: {error}") from error

    def used(self, since_hour: int) -> dict[str, list[tuple[str, Usage]]]:
        """What each cluster used from an hour on (since 1970), by the storage that it was on.

        The last one is the one that it was on last.
        """
        found: dict[str, list[tuple[str, Usage]]] = {}
        with self._lock:
            rows = self._connection.execute(_USED, (since_hour,)).fetchall()
        for resource_id, storage_type, *sums in rows:
            found.setdefault(resource_id, []).append((storage_type, Usage(*sums)))
        return found

    def close(self) -> None:
        """Close the file; nothing may be called after that."""
        with self._lock:
            self._connection.close()

    def _put(self, resource_id: str, entry: Entry, shares: Iterable[Metered]) -> None:
        account = entry.account
        self._connection.execute(
            "insert or replace into account values (?, ?, ?, ?, ?, ?, ?)",
            (
                resource_id,
                entry.name,
                json.dumps(entry.tags),
                account.until,
                account.storage_bytes,
                account.backup_bytes,
                account.storage_type,
            ),
        )
        for each in shares:
            usage = each.usage
            self._connection.execute(
                _ADD,
                (
                    resource_id,
                    each.hour,
                    each.storage_type,
                    usage.acu_ns,
                    usage.write_ios,
                    usage.read_ios,
                    usage.storage_byte_seconds,
                    usage.backup_byte_seconds,
                ),
            )


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        path.chmod(0o600)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        (version,) = connection.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise StateDirectoryError(
                f"{path} is of version {version}, this release knows up to {VERSION}; use the "
                "newer release that wrote it"
            )
        (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        if version == 0:
            connection.executescript(
                f"begin immediate; {_TABLES} pragma user_version = {VERSION}; commit;"
            )
    except BaseException:
        connection.close()
        raise
    return connection
