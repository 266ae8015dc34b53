"""What an instance can tell its clients of itself and of its cluster, as a file that it reads.

Function bodies and tables are in the log, so they are the same on every instance, and a reader can
change neither. A custom setting is another one on each, but every session may SET it. So the host
writes a file into the data directory of each running instance, and functions of the superuser's
read it (`access.functions`): it is whole at any moment, true from the next statement on, needs no
reload, and no SQL of a tenant's reaches it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType

FACTS_FILE = "borealis.instance"
WRITER_SESSION = "MASTER_SESSION_ID"
"""What Aurora has for the session id of a writer."""

DRIVERS_LOOK_FOR = "aurora_stat_utils"
"""The extension of Aurora's that brings `aurora_replica_status`: drivers know Aurora by it."""


def settings_of(extensions: Iterable[str], *, require_tls: bool) -> dict[str, str]:
    """RDS's settings of a cluster. extensions: that its master user may create."""
    return {
        "rds.extensions": ", ".join((DRIVERS_LOOK_FOR, *extensions)),
        "rds.force_ssl": "on" if require_tls else "off",
    }


@cache
def told_at_first(extensions: tuple[str, ...]) -> Mapping[str, str]:
    """What most clusters have, so that few servers are told anything else after their start.

    One text for all of them: a paused cluster is to be small.
    """
    return MappingProxyType(settings_of(extensions, require_tls=True))


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """One instance of a cluster, in the words of `aurora_replica_status`.

    session_id: `MASTER_SESSION_ID` for the writer. Positions are bytes of the log; those of the
    instance that is asked it knows better itself. replica_lag_in_msec: None where nobody knows.
    last_update_timestamp: aware; when the host has looked.
    """

    server_id: str
    session_id: str
    last_update_timestamp: datetime
    durable_lsn: int | None = None
    highest_lsn_rcvd: int | None = None
    current_read_lsn: int | None = None
    replica_lag_in_msec: float | None = None


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What one instance tells. server_id: its own identifier. settings: more of `pg_settings`."""

    server_id: str
    version: str
    members: tuple[MemberFacts, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """The file, in ASCII: databases have encodings of their own."""
        members = [
            {**asdict(each), "last_update_timestamp": each.last_update_timestamp.isoformat()}
            for each in self.members
        ]
        return json.dumps(
            {
                "server_id": self.server_id,
                "version": self.version,
                "members": members,
                "settings": dict(self.settings),
            }
        )
