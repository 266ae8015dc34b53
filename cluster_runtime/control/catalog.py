"""The durable catalog: which clusters exist, in an SQLite file of the state directory.

A row is a whole DBCluster as JSON. Only states that a restart must know are written: a cluster
enters when its creation is done, so that a creation cut short leaves no row, and its directory,
which no row names, is swept at the next start.
"""

import sqlite3
import threading
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cluster_runtime.control.model import DBCluster
from cluster_runtime.errors import (
    CatalogCorruptedError,
    ClusterAlreadyExistsError,
    InsufficientStorageError,
    StateDirectoryError,
)

MIGRATIONS = (
    """
    create table db_cluster (
        resource_id text primary key,
        identifier text not null unique,
        document text not null
    ) strict;
    """,
)
"""Each entry takes the catalog one version up; `pragma user_version` counts those applied."""

_DOCUMENT = TypeAdapter(DBCluster)


class Catalog:
    """Blocking; safe to call from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> "Catalog":
        """Open or make the catalog, and bring it to the newest version.

        Raises CatalogCorruptedError, which leaves the file untouched, and StateDirectoryError
        for a catalog of a newer release.
        """
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            path.chmod(0o600)
            _prepare(connection, path)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise _corrupted(path, str(error)) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    def clusters(self) -> list[DBCluster]:
        with self._lock:
            rows = self._connection.execute(
                "select resource_id, document from db_cluster order by identifier"
            ).fetchall()
        found = []
        for resource_id, document in rows:
            try:
                found.append(_DOCUMENT.validate_json(document))
            except ValidationError as error:
                raise _corrupted(self._path, f"row {resource_id} is unreadable") from error
        return found

    def add(self, cluster: DBCluster) -> None:
        """Raises ClusterAlreadyExistsError, InsufficientStorageError."""
        try:
            self._execute(
                "insert into db_cluster (resource_id, identifier, document) values (?, ?, ?)",
                cluster.db_cluster_resource_id,
                cluster.db_cluster_identifier,
                _document(cluster),
            )
        except sqlite3.IntegrityError as error:
            raise ClusterAlreadyExistsError(
                f"a cluster {cluster.db_cluster_identifier!r} exists already; "
                "choose another identifier or delete it first"
            ) from error

    def put(self, cluster: DBCluster) -> None:
        """Store new facts of a cluster that the catalog holds."""
        self._execute(
            "update db_cluster set identifier = ?, document = ? where resource_id = ?",
            cluster.db_cluster_identifier,
            _document(cluster),
            cluster.db_cluster_resource_id,
        )

    def remove(self, resource_id: str) -> None:
        self._execute("delete from db_cluster where resource_id = ?", resource_id)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, *values: str) -> None:
        try:
            with self._lock:
                self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise InsufficientStorageError(
                    f"no space to write the catalog {self._path}; free some and try again"
                ) from error
            raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    (version,) = connection.execute("pragma user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StateDirectoryError(
            f"catalog {path} is of version {version}, this release knows up to "
            f"{len(MIGRATIONS)}; use the newer release that wrote it"
        )
    for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(
            f"begin immediate; {migration} pragma user_version = {number}; commit;"
        )


def _document(cluster: DBCluster) -> str:
    return _DOCUMENT.dump_json(cluster).decode()


def _corrupted(path: Path, why: str) -> CatalogCorruptedError:
    return CatalogCorruptedError(
        f"catalog {path} cannot be read ({why}); nothing was changed. Put back a copy of it, or "
        "move it away to start with an empty one (the clusters' directories are kept aside then)"
    )
