"""Parameters of PostgreSQL that a cluster may set, as the server itself describes them.

`postgres --describe-config` tells every one: what it holds, in which range, and whether a running
server takes a new value. Which of them a tenant may set is decided here: none that reaches the
host, touches how a volume becomes durable, or writes statements to the log.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cluster_runtime.engine import children
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import InvalidParameterError

_GROUPS = ("Query Tuning / ", "Vacuuming / ")
"""All of these may be set."""

_NAMES = frozenset(
    {
        *("max_connections", "client_connection_check_interval", "tcp_keepalives_count"),
        *("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout"),
        *("DateStyle", "IntervalStyle", "TimeZone", "default_text_search_config"),
        *("extra_float_digits", "gin_fuzzy_search_limit", "gin_pending_list_limit"),
        *("default_toast_compression", "default_transaction_isolation", "lock_timeout"),
        *("idle_in_transaction_session_timeout", "idle_session_timeout", "statement_timeout"),
        *("transaction_timeout", "deadlock_timeout"),
        *("max_pred_locks_per_page", "max_pred_locks_per_relation"),
        *("max_pred_locks_per_transaction", "autovacuum_work_mem", "hash_mem_multiplier"),
        *("logical_decoding_work_mem", "maintenance_work_mem", "shared_buffers", "temp_buffers"),
        *("vacuum_buffer_usage_limit", "work_mem", "temp_file_limit", "effective_io_concurrency"),
        *("maintenance_io_concurrency", "max_parallel_maintenance_workers"),
        *("max_parallel_workers", "max_parallel_workers_per_gather"),
        *("parallel_leader_participation", "log_autovacuum_min_duration", "log_lock_waits"),
        *("log_temp_files", "track_activity_query_size", "track_functions", "track_io_timing"),
        *("track_wal_io_timing", "track_commit_timestamp"),
        *("bgwriter_delay", "bgwriter_lru_maxpages"),
        *("checkpoint_completion_target", "checkpoint_timeout", "max_wal_size"),
    }
)
"""And these of the others."""

MAX_CONNECTIONS_MIN, MAX_CONNECTIONS_MAX = 20, 1000
"""With fewer the runtime itself could not look after a cluster. A standby must have at least as
many as any writer had whose log it replays, so there is a most, which standbys have."""

STANDBY_PARAMETERS: Settings = {"max_connections": MAX_CONNECTIONS_MAX}

LOGICAL_REPLICATION = "rds.logical_replication"

_TYPES = {"BOOLEAN": "boolean", "INTEGER": "integer", "REAL": "float", "STRING": "string"}
_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
_FIELDS = 9


@dataclass(frozen=True, slots=True)
class Definition:
    """One parameter. static: a new value needs a restart. data_type: RDS's word.

    minimum, maximum: as text, of numbers; empty for others. modifiable: a tenant may set it.
    """

    name: str
    description: str
    data_type: str
    static: bool
    modifiable: bool
    minimum: str = ""
    maximum: str = ""

    @property
    def allowed_values(self) -> str:
        """The values that it takes, as RDS writes them."""
        if self.data_type == "boolean":
            return "0,1"
        return f"{self.minimum}-{self.maximum}" if self.minimum else ""

    def check(self, value: str) -> str:
        """The value as a server takes it. Raises InvalidParameterError."""
        if not self.modifiable:
            raise InvalidParameterError(f"parameter {self.name!r} is the runtime's to set")
        if self.data_type == "boolean":
            return self._boolean(value)
        if self.data_type in ("integer", "float"):
            return self._number(value)
        if not re.fullmatch(r"[\w .,:/+-]{0,200}", value, re.ASCII):
            raise InvalidParameterError(
                f"parameter {self.name!r} takes letters, digits, spaces and .,:/+-"
            )
        return value

    def _boolean(self, value: str) -> str:
        if value.lower() not in (*_TRUE, *_FALSE):
            raise InvalidParameterError(f"parameter {self.name!r} is {value!r}; it must be 0 or 1")
        return "on" if value.lower() in _TRUE else "off"

    def _number(self, value: str) -> str:
        try:
            number = float(value) if self.data_type == "float" else int(value)
        except ValueError:
            number = None
        if number is None or not float(self.minimum) <= number <= float(self.maximum):
            raise InvalidParameterError(
                f"parameter {self.name!r} is {value!r}; it must be a number from {self.minimum} "
                f"to {self.maximum}, in the unit that PostgreSQL counts it in"
            )
        return value


_OF_RDS = {
    LOGICAL_REPLICATION: Definition(
        LOGICAL_REPLICATION,
        "Lets logical replication slots decode the log, on the writer and on readers.",
        "boolean",
        static=True,
        modifiable=True,
    )
}
"""Parameters of RDS that are none of PostgreSQL's."""


def definitions(installation: Installation) -> dict[str, Definition]:
    """All parameters of a PostgreSQL, by name in lower case. Blocking the first time."""
    return {**_described(installation.program("postgres")), **_OF_RDS}


def decodes(parameters: Settings) -> bool:
    """Whether logical replication slots are possible with these parameters."""
    return parameters.get(LOGICAL_REPLICATION) == "on"


def with_decoding(parameters: Settings) -> Settings:
    """What a server needs to run with parameters that a tenant has set."""
    return {**parameters, "wal_level": "logical"} if decodes(parameters) else parameters


@cache
def _described(program: Path) -> dict[str, Definition]:
    done = children.run([program, "--describe-config"], capture_output=True, text=True, check=True)
    found = [_definition(line.split("\t")) for line in done.stdout.splitlines()]
    return {each.name.lower(): each for each in found if each is not None}


def _definition(fields: list[str]) -> Definition | None:
    if len(fields) < _FIELDS:
        return None
    name, context, group, kind, _, minimum, maximum, description, _ = fields[:_FIELDS]
    if name == "max_connections":
        minimum, maximum = str(MAX_CONNECTIONS_MIN), str(MAX_CONNECTIONS_MAX)
    return Definition(
        name=name,
        description=description,
        data_type=_TYPES.get(kind, "string"),
        static=context == "postmaster",
        modifiable=name in _NAMES or group.startswith(_GROUPS),
        minimum=minimum,
        maximum=maximum,
    )
