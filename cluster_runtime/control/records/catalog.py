"""The durable catalog: which clusters exist, in an SQLite file of the state directory.

A row is a whole DBCluster as JSON. Only states that a restart must know are written: a cluster
enters when its creation is done, so that a creation cut short leaves no row, and its directory,
which no row names, is swept at the next start.
"""

import json
import shutil
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cluster_runtime.control.records.identifiers import taken
from cluster_runtime.control.records.instances import CustomEndpointRecord, InstanceRecord
from cluster_runtime.control.records.model import DBCluster, Event
from cluster_runtime.control.records.parameter_groups import DBClusterParameterGroup
from cluster_runtime.errors import (
    CatalogCorruptedError,
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
    create table db_instance (
        identifier text primary key,
        cluster text not null,
        document text not null
    ) strict;
    create table db_cluster_endpoint (
        identifier text primary key,
        cluster text not null,
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
    """
    create table document (
        kind text not null,
        name text not null,
        document text not null,
        primary key (kind, name)
    ) strict;
    """,
)
"""Each entry takes the catalog one version up; `pragma user_version` counts those applied."""

CLUSTER_FORMAT = 2
"""What a cluster's databases, roles and files are made like. 1: without the database `rdsadmin`.
A cluster of an older format is brought up at its first wake (`upgrade.py`)."""

_DOCUMENT = TypeAdapter(DBCluster)
_GROUP = TypeAdapter(DBClusterParameterGroup)
_INSTANCE = TypeAdapter(InstanceRecord)
_ENDPOINT = TypeAdapter(CustomEndpointRecord)


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


SPACE_BYTES_MIN = 1 << 20
"""With less than that on its disk a catalog that cannot be written is not to blame."""
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

        Raises CatalogCorruptedError, which leaves the file untouched, InsufficientStorageError, and
        StateDirectoryError for a catalog of a newer release.
        """
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            path.chmod(0o600)
            _prepare(connection, path)
        except sqlite3.DatabaseError as error:
            connection.close()
            if _for_want_of_space(path, error):
                raise _no_space(path) from error
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
            raise taken(cluster.db_cluster_identifier) from error

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
        add = "insert into event (resource_id, source_identifier, date, categories, message) " + (
            "values (?, ?, ?, ?, ?)"
        )
        expire = "delete from event where date < ? or resource_id = ? and id <= " + (
            "(select id from event where resource_id = ? order by id desc limit 1 offset ?)"
        )
        date, categories = event.date.isoformat(), json.dumps(event.event_categories)
        before = (event.date - EVENTS_KEPT).isoformat()
        self._execute_all(
            (add, (resource_id, event.source_identifier, date, categories, event.message)),
            (expire, (before, resource_id, resource_id, EVENTS_MAX)),
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

    def instances(self) -> list[InstanceRecord]:
        """All instances, the oldest first."""
        found = [_INSTANCE.validate_json(each) for each in self._documents("db_instance")]
        return sorted(found, key=lambda each: (each.instance_create_time, each.place))

    def put_instance(self, record: InstanceRecord) -> None:
        """Keep an instance as it is now."""
        self._put(
            "db_instance",
            record.db_instance_identifier,
            record.db_cluster_resource_id,
            _INSTANCE.dump_json(record).decode(),
        )

    def remove_instance(self, identifier: str) -> None:
        """Forget an instance."""
        self._execute("delete from db_instance where identifier = ?", identifier)

    def custom_endpoints(self) -> list[CustomEndpointRecord]:
        """All custom endpoints, by identifier."""
        return [_ENDPOINT.validate_json(each) for each in self._documents("db_cluster_endpoint")]

    def put_custom_endpoint(self, record: CustomEndpointRecord) -> None:
        """Keep a custom endpoint as it is now."""
        self._put(
            "db_cluster_endpoint",
            record.identifier,
            record.db_cluster_resource_id,
            _ENDPOINT.dump_json(record).decode(),
        )

    def remove_custom_endpoint(self, identifier: str) -> None:
        """Forget a custom endpoint."""
        self._execute("delete from db_cluster_endpoint where identifier = ?", identifier)

    def documents(self, kind: str) -> list[tuple[str, str]]:
        """Texts of a kind with their names, by name: what other records keep here."""
        with self._lock:
            return self._connection.execute(
                "select name, document from document where kind = ? order by name", (kind,)
            ).fetchall()

    def put_document(self, kind: str, name: str, document: str) -> None:
        """Keep a text as it is now. Raises InsufficientStorageError."""
        self._execute(
            "insert into document (kind, name, document) values (?, ?, ?) "
            "on conflict (kind, name) do update set document = excluded.document",
            kind,
            name,
            document,
        )

    def remove_document(self, kind: str, name: str) -> None:
        """Forget a text."""
        self._execute("delete from document where kind = ? and name = ?", kind, name)

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
        """Forget a cluster, with its instances and endpoints."""
        self.end_workflow(resource_id)
        for table in ("db_instance", "db_cluster_endpoint"):
            self._execute(f"delete from {table} where cluster = ?", resource_id)
        self._execute("delete from db_cluster where resource_id = ?", resource_id)

    def close(self) -> None:
        """Close the file; nothing may be called after that."""
        with self._lock:
            self._connection.close()

    def _documents(self, table: str) -> list[str]:
        with self._lock:
            rows = self._connection.execute(
                f"select document from {table} order by identifier"
            ).fetchall()
        return [document for (document,) in rows]

    def _put(self, table: str, identifier: str, cluster: str, document: str) -> None:
        self._execute(
            f"insert into {table} (identifier, cluster, document) values (?, ?, ?) "
            "on conflict (identifier) do update set cluster = excluded.cluster, "
            "document = excluded.document",
            identifier,
            cluster,
            document,
        )

    def _execute(self, statement: str, *values: str | int) -> None:
        self._execute_all((statement, values))

    def _execute_all(self, *statements: tuple[str, tuple[str | int, ...]]) -> None:
        """All of them or none, and durable together."""
        try:
            with self._lock:
                self._connection.execute("begin immediate")
                try:
                    for statement, values in statements:
                        self._connection.execute(statement, values)
                    self._connection.execute("commit")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("rollback")
                    raise
        except sqlite3.OperationalError as error:
            if _for_want_of_space(self._path, error):
                raise _no_space(self._path) from error
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


def _for_want_of_space(path: Path, error: sqlite3.DatabaseError) -> bool:
    """SQLite tells of a full disk in several ways, by the file that it could not write."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return shutil.disk_usage(path.parent).free < SPACE_BYTES_MIN
    return code == sqlite3.SQLITE_FULL


def _no_space(path: Path) -> InsufficientStorageError:
    return InsufficientStorageError(
        f"no space to write the catalog {path}; free some and try again"
    )


def document_of(cluster: DBCluster) -> dict[str, Any]:
    """What the catalog keeps of a cluster, as JSON has it."""
    found: dict[str, Any] = _DOCUMENT.dump_python(cluster, mode="json")
    return found


def cluster_of(document: Mapping[str, Any]) -> DBCluster:
    """The cluster of such a document. Raises ValueError."""
    return _DOCUMENT.validate_python(dict(document))


def _moment(date: str) -> datetime:
    return datetime.fromisoformat(date)


def _document(cluster: DBCluster) -> str:
    return _DOCUMENT.dump_json(cluster).decode()


def _corrupted(path: Path, why: str) -> CatalogCorruptedError:
    return CatalogCorruptedError(
        f"catalog {path} cannot be read ({why}); nothing was changed. Put back a copy of it, or "
        "move it away to start with an empty one (the clusters' directories are kept aside then)"
    )
