"""The durable catalog: which clusters exist, in an SQLite file of the state directory.

A row is a whole DBCluster as JSON. Only states that a restart must know are written: a cluster
enters when its creation is done, so that a creation cut short leaves no row, and its directory,
which no row names, is swept at the next start.
"""

import json
import sqlite3
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cluster_runtime.control.records.model import DBCluster, Event
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup
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
    """
    alter table db_cluster add column format integer not null default 1;
    create table event (
        id integer primary key,
        resource_id text not null,
        source_identifier text not null,
        date text not null,
        categories text not null,
        message text not null
    ) strict;
    create index event_of_cluster on event (resource_id, id);
    """,
    """
    create table db_cluster_parameter_group (
        name text primary key,
        document text not null
    ) strict;
    """,
    """
    create table workflow (
        resource_id text primary key,
        kind text not null,
        step text not null
    ) strict;
    """,
)
"""Each entry takes the catalog one version up; `pragma user_version` counts those applied."""

CLUSTER_FORMAT = 2
"""What a cluster's databases, roles and files are made like. 1: without the database `rdsadmin`.
A cluster of an older format is brought up at its first wake (`upgrade.py`)."""

_DOCUMENT = TypeAdapter(DBCluster)
_GROUP = TypeAdapter(DBClusterParameterGroup)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A row: a cluster, and the format that it is in."""

    db_cluster: DBCluster
    format: int


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A workflow that a cluster is in, and the step that it has begun."""

    resource_id: str
    kind: str
    step: str


EVENTS_MAX = 1000
EVENTS_KEPT = timedelta(days=14)
"""How many events of a cluster are kept, and for how long (as RDS keeps them)."""


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

    def clusters(self) -> list[CatalogEntry]:
        """All clusters, by identifier. Raises CatalogCorruptedError for a row it cannot read."""
        with self._lock:
            rows = self._connection.execute(
                "select resource_id, document, format from db_cluster order by identifier"
            ).fetchall()
        found = []
        for resource_id, document, format_number in rows:
            try:
                found.append(CatalogEntry(_DOCUMENT.validate_json(document), format_number))
            except ValidationError as error:
                raise _corrupted(self._path, f"row {resource_id} is unreadable") from error
        return found

    def add(self, cluster: DBCluster) -> None:
        """Raises ClusterAlreadyExistsError, InsufficientStorageError."""
        try:
            self._execute(
                "insert into db_cluster (resource_id, identifier, document, format) "
                "values (?, ?, ?, ?)",
                cluster.db_cluster_resource_id,
                cluster.db_cluster_identifier,
                _document(cluster),
                CLUSTER_FORMAT,
            )
        except sqlite3.IntegrityError as error:
            raise ClusterAlreadyExistsError(
                f"a cluster {cluster.db_cluster_identifier!r} exists already; "
                "choose another identifier or delete it first"
            ) from error

    def put(self, cluster: DBCluster) -> None:
        """Store a change of a cluster that the catalog holds."""
        self._execute(
            "update db_cluster set identifier = ?, document = ? where resource_id = ?",
            cluster.db_cluster_identifier,
            _document(cluster),
            cluster.db_cluster_resource_id,
        )

    def brought_up(self, resource_id: str) -> None:
        """Note that a cluster is of this release's format now."""
        self._execute(
            "update db_cluster set format = ? where resource_id = ?", CLUSTER_FORMAT, resource_id
        )

    def add_event(self, resource_id: str, event: Event) -> None:
        """Keep an event of a cluster."""
        self._execute(
            "insert into event (resource_id, source_identifier, date, categories, message) "
            "values (?, ?, ?, ?, ?)",
            resource_id,
            event.source_identifier,
            event.date.isoformat(),
            json.dumps(event.event_categories),
            event.message,
        )
        self._execute(
            "delete from event where date < ? or resource_id = ? and id <= "
            "(select id from event where resource_id = ? order by id desc limit 1 offset ?)",
            (event.date - EVENTS_KEPT).isoformat(),
            resource_id,
            resource_id,
            EVENTS_MAX,
        )

    def events(self, resource_id: str | None = None) -> list[Event]:
        """Of one cluster, or of all: oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "select source_identifier, date, categories, message from event "
                "where coalesce(?, resource_id) = resource_id order by id",
                (resource_id,),
            ).fetchall()
        return [
            Event(name, "db-cluster", message, tuple(json.loads(categories)), _moment(date))
            for name, date, categories, message in rows
        ]

    def parameter_groups(self) -> list[DBClusterParameterGroup]:
        """All that were made, by name."""
        with self._lock:
            rows = self._connection.execute(
                "select document from db_cluster_parameter_group order by name"
            ).fetchall()
        return [_GROUP.validate_json(document) for (document,) in rows]

    def put_parameter_group(self, group: DBClusterParameterGroup) -> None:
        """Keep a group as it is now."""
        self._execute(
            "insert into db_cluster_parameter_group (name, document) values (?, ?) "
            "on conflict (name) do update set document = excluded.document",
            group.db_cluster_parameter_group_name,
            _GROUP.dump_json(group).decode(),
        )

    def remove_parameter_group(self, name: str) -> None:
        """Forget a group."""
        self._execute("delete from db_cluster_parameter_group where name = ?", name)

    def begin_step(self, under_way: UnderWay) -> None:
        """Note the step of a workflow before it is done, so that the next start knows of it."""
        self._execute(
            "insert into workflow (resource_id, kind, step) values (?, ?, ?) "
            "on conflict (resource_id) do update set kind = excluded.kind, step = excluded.step",
            under_way.resource_id,
            under_way.kind,
            under_way.step,
        )

    def end_workflow(self, resource_id: str) -> None:
        """A cluster is in no workflow any more."""
        self._execute("delete from workflow where resource_id = ?", resource_id)

    def workflows(self) -> dict[str, UnderWay]:
        """Those that the last host left, by resource id."""
        with self._lock:
            rows = self._connection.execute("select resource_id, kind, step from workflow")
            return {row[0]: UnderWay(*row) for row in rows.fetchall()}

    def remove(self, resource_id: str) -> None:
        """Forget a cluster."""
        self.end_workflow(resource_id)
        self._execute("delete from db_cluster where resource_id = ?", resource_id)

    def close(self) -> None:
        """Close the file; nothing may be called after that."""
        with self._lock:
            self._connection.close()

    def _execute(self, statement: str, *values: str | int) -> None:
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


def _moment(date: str) -> datetime:
    return datetime.fromisoformat(date)


def _document(cluster: DBCluster) -> str:
    return _DOCUMENT.dump_json(cluster).decode()


def _corrupted(path: Path, why: str) -> CatalogCorruptedError:
    return CatalogCorruptedError(
        f"catalog {path} cannot be read ({why}); nothing was changed. Put back a copy of it, or "
        "move it away to start with an empty one (the clusters' directories are kept aside then)"
    )
