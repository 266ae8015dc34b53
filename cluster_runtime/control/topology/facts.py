"""Which facts an instance tells, from what the runtime knows of its cluster. Pure.

Source: Amazon Aurora User Guide, "aurora_replica_status"; the AWS Advanced wrappers leave out
instances whose row is older than five minutes.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster_runtime.control.records.model import DBCluster, DBInstance
from cluster_runtime.engine.access.instance_facts import (
    WRITER_SESSION,
    InstanceFacts,
    MemberFacts,
    settings_of,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an instance says that it is; None: it does not know. Positions: bytes of the log."""

    durable_lsn: int | None = None
    highest_lsn_rcvd: int | None = None
    current_read_lsn: int | None = None
    replica_lag_in_msec: float | None = None


def facts_of(
    db_cluster: DBCluster,
    members: Sequence[DBInstance],
    progress: Mapping[str, Progress],
    extensions: Iterable[str],
    now: datetime,
) -> dict[str, InstanceFacts]:
    """What each member tells, by its identifier.

    members: those that run. progress: of those that were asked, by identifier. extensions: that
    the master user may create. now: aware.
    """
    rows = tuple(_row(db_cluster, each, progress, now) for each in members)
    settings = settings_of(extensions, require_tls=db_cluster.require_tls)
    return {
        row.server_id: InstanceFacts(row.server_id, db_cluster.engine_version, rows, settings)
        for row in rows
    }


def same_topology(one: InstanceFacts, other: InstanceFacts) -> bool:
    """Whether they tell the same, but for how far everybody is."""
    return _lasting(one) == _lasting(other)


def _lasting(facts: InstanceFacts) -> tuple[object, ...]:
    members = tuple((each.server_id, each.session_id) for each in facts.members)
    return facts.server_id, facts.version, members, dict(facts.settings)


def _row(
    db_cluster: DBCluster, member: DBInstance, progress: Mapping[str, Progress], now: datetime
) -> MemberFacts:
    identifier = member.db_instance_identifier
    known = progress.get(identifier, Progress())
    session = uuid.uuid5(uuid.NAMESPACE_OID, f"{db_cluster.db_cluster_resource_id}/{identifier}")
    return MemberFacts(
        server_id=identifier,
        session_id=WRITER_SESSION if member.is_cluster_writer else str(session),
        last_update_timestamp=now,
        durable_lsn=known.durable_lsn,
        highest_lsn_rcvd=known.highest_lsn_rcvd,
        current_read_lsn=known.current_read_lsn,
        replica_lag_in_msec=known.replica_lag_in_msec,
    )
