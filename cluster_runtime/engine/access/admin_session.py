"""The runtime's own SQL sessions: as the bootstrap superuser, where no tenant shapes what they do.

They live in the database `rdsadmin`, which the master user can neither enter, own nor alter, as on
RDS. Whatever a database, a role or the server could hand down to a session is pinned in the
startup message: settings of that source win over `ALTER DATABASE`, `ALTER ROLE` and the files.
Where a session has to enter a tenant's database all the same, the same pins leave nothing of the
tenant's within its reach: no name resolves outside pg_catalog, no event trigger fires, no library
is loaded.

Source: PostgreSQL `utils/guc.h` (GucSource), manual "ALTER ROLE", "Client Connection Defaults".
"""

from pathlib import Path

from cluster_runtime.engine.access.private_socket import private_conninfo
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.settings import Settings

ADMIN_DATABASE = "rdsadmin"
ADMIN_APPLICATION = "rdsadmin"
LOCK_TIMEOUT = "2s"
"""A member of pg_maintain may lock a catalog: the runtime does not wait forever for it."""

_PINNED: Settings = {
    "search_path": "pg_catalog, pg_temp",
    "role": "none",
    "session_replication_role": "origin",
    "default_transaction_read_only": False,
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": False,
    "default_tablespace": "",
    "temp_tablespaces": "",
    "default_table_access_method": "heap",
    "statement_timeout": 0,
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "tcp_user_timeout": 0,
    "client_connection_check_interval": 0,
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "gin_fuzzy_search_limit": 0,
    "check_function_bodies": False,
    "createrole_self_grant": "",
    "password_encryption": "scram-sha-256",
    "synchronous_commit": True,
    "allow_system_table_mods": False,
    "exit_on_error": False,
    "client_min_messages": "notice",
    "client_encoding": "UTF8",
    "standard_conforming_strings": True,
    "backslash_quote": "safe_encoding",
    "escape_string_warning": True,
    "quote_all_identifiers": False,
    "transform_null_equals": False,
    "array_nulls": True,
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": 1,
    "xmloption": "content",
    "jit": False,
    # Statements of these sessions hold password verifiers: nobody else is shown them.
    "track_activities": False,
    "pg_stat_statements.track": "none",
    "log_statement": "none",
    "log_duration": False,
    "log_min_duration_statement": -1,
    "log_min_duration_sample": -1,
    "log_transaction_sample_rate": 0,
    "log_min_error_statement": "panic",
    "log_parser_stats": False,
    "log_planner_stats": False,
    "log_executor_stats": False,
    "log_statement_stats": False,
    "debug_print_parse": False,
    "debug_print_rewritten": False,
    "debug_print_plan": False,
}
_PINNED_SINCE: dict[int, Settings] = {
    17: {"event_triggers": False, "transaction_timeout": 0},
}


def pinned_settings(major: int) -> Settings:
    """What a session of the runtime takes from nobody, for a major version of PostgreSQL."""
    newer = [settings for since, settings in _PINNED_SINCE.items() if major >= since]
    return {name: value for each in (_PINNED, *newer) for name, value in each.items()}


def admin_conninfo(socket_directory: Path, major: int, database: str = ADMIN_DATABASE) -> str:
    """How a session of the runtime connects to a server of this major version.

    database: another one than `rdsadmin` only for work that has to happen inside it.
    """
    options = options_of(pinned_settings(major))
    return private_conninfo(
        socket_directory, SUPERUSER, database, ADMIN_APPLICATION, options=options
    )


def options_of(settings: Settings) -> str:
    """Command-line options as libpq takes them: blanks and backslashes escaped."""
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str | int | float | bool) -> str:
    text = ("on" if value else "off") if isinstance(value, bool) else str(value)
    return text.replace("\\", "\\\\").replace(" ", "\\ ")
