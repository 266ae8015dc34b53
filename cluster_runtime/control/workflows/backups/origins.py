"""What a restore begins with: whose backup, which objects, what the cluster was. Blocking."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cluster_runtime.backup.core.names import Era, Holdings
from cluster_runtime.backup.core.targets import (
    NotRestorableError,
    Plan,
    plan_for_lsn,
    plan_for_time,
    window,
)
from cluster_runtime.backup.keeping.archive import Archive
from cluster_runtime.backup.vault.bucket import ObjectMissingError
from cluster_runtime.backup.vault.keys import LocalKey
from cluster_runtime.backup.vault.vault import Vault
from cluster_runtime.control.records.catalog import cluster_of
from cluster_runtime.control.records.identifiers import check_identifier
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.rules import check_database_name, check_master_username
from cluster_runtime.errors import (
    BackupDamagedError,
    ClusterNotFoundError,
    InvalidParameterError,
    InvalidRestoreError,
)
from cluster_runtime.storage.core.wal_records import format_lsn
from cluster_runtime.wording import Hint, Operation

_VERSION = re.compile(r"\d[^/\s]*")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND, MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)
LATEST = Hint(
    "{} takes the latest there is",
    Operation("restore_db_cluster_to_point_in_time", settings={"use_latest_restorable_time": True}),
)


class NothingRestorableError(InvalidRestoreError):
    """The backup of a cluster holds no moment yet that can be restored. Later it does."""

    retry_helps = True


@dataclass(frozen=True, slots=True)
class Origin:
    """A restore that can be done. foreign: somebody else may have made what it begins with."""

    vault: Vault
    plan: Plan
    db_cluster: DBCluster
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """One cluster's backup. complete_at: until when its log is known to be complete, in ms."""

    vault: Vault
    db_cluster: DBCluster
    wal_segment_bytes: int
    complete_at: int = 0


def backup_of(archive: Archive, resource_id: str, complete_at: int = 0) -> Backup:
    """The backup of a cluster of a known resource id. Raises ClusterNotFoundError."""
    try:
        vault = archive.vault(resource_id)
    except ObjectMissingError as error:
        raise ClusterNotFoundError(
            f"there is no backup of cluster {resource_id!r} in {archive.location}: it was deleted, "
            "or has not begun yet"
        ) from error
    facts = vault.facts()
    return Backup(vault, _cluster(facts.cluster, vault), facts.wal_segment_bytes, complete_at)


def backup_named(archive: Archive, source: str | None, name: str) -> Backup:
    """The backup of a cluster in a place that another machine may have written.

    source: its identifier or resource id; None: the only one there, or the one called `name`.
    Raises ClusterNotFoundError, which lists those that are there.
    """
    known = []
    for resource_id, facts in archive.all_facts():
        with suppress(BackupDamagedError):  # one that cannot be read keeps nobody from the others
            known.append((resource_id, _cluster(facts.cluster, None), facts))
    wanted = source or name
    found = [
        each
        for each in known
        if wanted.lower() == each[1].db_cluster_identifier or wanted == each[0]
    ]
    if not found and source is None and len(known) == 1:
        found = known
    if not found:
        listed = ", ".join(
            f"{each.db_cluster_identifier} ({each_id})" for each_id, each, _ in known
        )
        raise ClusterNotFoundError(
            f"there is no backup of a cluster {wanted!r} in {archive.location} that this key "
            f"opens; there are: {listed or 'none'}"
        )
    resource_id, db_cluster, facts = max(found, key=lambda each: each[1].cluster_create_time)
    return Backup(archive.vault(resource_id), db_cluster, facts.wal_segment_bytes)


def at_time(backup: Backup, moment: datetime) -> Origin:
    """As it was at a time. Raises InvalidRestoreError, BackupDamagedError."""
    holdings = backup.vault.holdings()
    try:
        plan = plan_for_time(
            holdings.eras, _microseconds(moment), backup.wal_segment_bytes, backup.complete_at
        )
    except NotRestorableError as error:
        raise _refused(backup, holdings, error, said(moment)) from error
    return Origin(backup.vault, plan, backup.db_cluster)


def at_the_end(backup: Backup) -> Origin:
    """As it was last, as far as the backup has it. Raises as `at_time` does."""
    holdings = backup.vault.holdings()
    whole = [era for era in holdings.eras if era.images and era.pieces]
    if not whole:
        raise InvalidRestoreError(
            f"the backup of cluster {backup.db_cluster.db_cluster_identifier!r} has not begun yet, "
            "or all of it has been removed"
        )
    return _at_lsn(backup, holdings, whole[-1], whole[-1].end)


def of_snapshot(vault: Vault, identifier: str) -> Origin:
    """As a snapshot has it. Raises BackupDamagedError where objects of it are missing."""
    manifest = vault.snapshot(identifier)
    db_cluster = _cluster(manifest.cluster, vault)
    backup = Backup(vault, db_cluster, manifest.wal_segment_bytes)
    era = vault.holdings().era(manifest.era)
    return _at_lsn(backup, Holdings((era,)), era, manifest.lsn)


def plan_of(backup: Backup, era: int, lsn: int) -> Plan:
    """What a snapshot at an LSN has to hold. Raises as `at_time` does."""
    holdings = backup.vault.holdings()
    return _at_lsn(backup, holdings, holdings.era(era), lsn).plan


def archive_at(location: str, key: str | None, own: Path) -> Archive:
    """Another place of backups. key: the text of a `backup.key`; own: the file of this host's."""
    return Archive(location, LocalKey.parse(key) if key is not None else LocalKey.of(own))


def _at_lsn(backup: Backup, holdings: Holdings, era: Era, lsn: int) -> Origin:
    try:
        plan = plan_for_lsn(era, lsn, backup.wal_segment_bytes)
    except NotRestorableError as error:
        raise _refused(backup, holdings, error, format_lsn(lsn)) from error
    return Origin(backup.vault, plan, backup.db_cluster)


def _refused(
    backup: Backup, holdings: Holdings, error: NotRestorableError, wanted: str
) -> InvalidRestoreError | BackupDamagedError:
    name = backup.db_cluster.db_cluster_identifier
    if error.missing is not None:
        where = backup.vault.bucket.where(backup.vault.folder)
        return BackupDamagedError(
            f"the backup of cluster {name!r} is damaged: the object with the log from "
            f"{format_lsn(error.missing)} on is missing in {where}"
        )
    found = window(holdings.eras, 0, backup.complete_at)
    if found is None:
        return NothingRestorableError(f"nothing of cluster {name!r} can be restored yet")
    earliest = moment_of(found.earliest) + (SECOND - MILLISECOND)  # so that what is said is within
    return InvalidRestoreError(
        f"cluster {name!r} can be restored as it was between {said(earliest)} and "
        f"{said(moment_of(found.latest))}, and not at {wanted}; choose a time between them",
        LATEST,
    )


def said(moment: datetime) -> str:
    """A time for the text of an error, to the second below, as an operation takes it too."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def moment_of(milliseconds: int) -> datetime:
    """A time as an aware datetime."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def milliseconds_of(moment: datetime) -> int:
    """The other way round."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _cluster(document: Mapping[str, Any], vault: Vault | None) -> DBCluster:
    where = vault.bucket.where(vault.folder) if vault is not None else "the backup"
    return cluster_in(document, where)


def cluster_in(document: Mapping[str, Any], where: str) -> DBCluster:
    """What a cluster was, as something that anybody may have written says. where: for errors.

    An engine version that is a path would have the host run what lies there; a master user of a
    reserved name would be the runtime's superuser. Raises BackupDamagedError.
    """
    try:
        found = cluster_of(document)
        check_master_username(found.master_username)
        check_database_name(found.database_name)
        check_identifier(found.db_cluster_identifier)
        if not _VERSION.fullmatch(found.engine_version):
            raise ValueError(f"{found.engine_version!r} is no version of PostgreSQL")
    except (ValueError, InvalidParameterError) as error:
        raise BackupDamagedError(
            f"what the cluster of {where} was is of a newer release, or damaged: {error}"
        ) from error
    return found
