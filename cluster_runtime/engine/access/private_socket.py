"""How the runtime's own sessions find a server: through its private socket, and nothing else.

libpq takes what a connection string leaves out from its process's environment (`PGHOSTADDR`,
`PGPORT`, `PGOPTIONS`, `PGREQUIREAUTH`), which is that of whoever started the host. So nothing is
left out that can be given. Source: PostgreSQL documentation, libpq, "Environment Variables".
"""

from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

PORT = 5432
SETTLED = "set datestyle to 'ISO, MDY'; set timezone to 'UTC'; set geqo to on"
"""To begin a session with: libpq sends `PGDATESTYLE`, `PGTZ` and `PGGEQO` behind all options."""

LEFT = {
    "connect_timeout": "whoever connects says how long he waits",
    "password": "nobody asks for one on a private socket",
    "service": "it cannot be overruled, not by an empty one; background hosts start without it",
}
"""What the environment may say all the same, and why."""

_SAID = {"host", "port", "user", "dbname", "application_name", "options"}
_OF_NOBODY = {
    "client_encoding": "UTF8",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
    "sslcertmode": "allow",
    "sslmode": "disable",
}
"""Where neither libpq's own default nor an empty text is meant, or taken."""


def _pinned() -> dict[str, str]:
    found = {}
    for option in pq.Conninfo.get_defaults():
        name = option.keyword.decode()
        if option.envvar and name not in _SAID | LEFT.keys():
            found[name] = _OF_NOBODY.get(name, (option.compiled or b"").decode())
    return found


_PINNED = _pinned()


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
        "",
        **_PINNED,
        host=str(socket_directory),
        port=port,
        user=user,
        dbname=database,
        application_name=application_name,
        options=options,
        **more,
    )
