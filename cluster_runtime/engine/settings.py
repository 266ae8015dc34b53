"""PostgreSQL settings: those of every cluster, and how a file of them is written."""

from collections.abc import Mapping

from cluster_runtime.errors import InvalidParameterError

Settings = Mapping[str, str | int | float | bool]

TEMPLATE_SETTINGS: Settings = {
    "listen_addresses": "",
    "port": 5432,
    "unix_socket_permissions": "0700",
    "max_connections": 100,
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # A statement that fails may hold a password: its text never goes to the log.
    "log_min_error_statement": "panic",
    "password_encryption": "scram-sha-256",
    "wal_level": "replica",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "min_wal_size": "32MB",
    "max_wal_size": "1GB",
}


def render_settings(settings: Settings) -> str:
    """The text of a configuration file. Raises InvalidParameterError for an impossible value."""
    return "".join(f"{name} = {_quoted(name, value)}\n" for name, value in settings.items())


def _quoted(name: str, value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value)
    if "\n" in text or "\0" in text or not name.replace("_", "").replace(".", "").isalnum():
        raise InvalidParameterError(f"setting {name!r} cannot hold {text!r}")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
