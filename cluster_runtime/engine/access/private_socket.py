"""How the runtime's own sessions find a server: through its private socket, and nothing else.

libpq takes what a connection string leaves out from its process's environment (`PGHOSTADDR`,
`PGPORT`, `PGOPTIONS`, `PGREQUIREAUTH`), which is that of whoever started the host. So nothing is
left out that can be given. `PGSERVICE` cannot be overruled; background hosts start without it.
Source: PostgreSQL documentation, libpq, "Environment Variables".
"""

from pathlib import Path
from typing import Any

from psycopg.conninfo import make_conninfo

PORT = 5432
SETTLED = "set datestyle to 'ISO, MDY'; set timezone to 'UTC'; set geqo to on"
"""To begin a session with: libpq sends `PGDATESTYLE`, `PGTZ` and `PGGEQO` behind all options."""

_OF_NOBODY: dict[str, Any] = {
    "hostaddr": "",
    "require_auth": "",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "gssencmode": "disable",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
}


def private_conninfo(
    socket_directory: Path | str,
    user: str,
    database: str,
    application_name: str,
    *,
    port: int = PORT,
    options: str = "",
    **more: str,
) -> str:
    """A connection string. options: as `options_of` makes them. more: other parameters of libpq."""
    return make_conninfo(
        **_OF_NOBODY,
        host=str(socket_directory),
        port=port,
        user=user,
        dbname=database,
        application_name=application_name,
        options=options,
        **more,
    )
