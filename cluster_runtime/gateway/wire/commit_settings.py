"""ALTER ROLE and ALTER DATABASE on synchronous_commit: not applied, and said so at login.

A commit that does not wait for the volume can be lost. Where somebody has set that for everyone who
comes (`Login.synchronous_commit`), the startup message outweighs it; a session's own SET counts.
"""

from collections.abc import Sequence

from cluster_runtime.gateway.wire.protocol import notice

DURABLE = frozenset({"on", "true", "yes", "1", "remote_apply"})
Settings = Sequence[Sequence[str]]


def overruled_notice(settings: Settings, *, user: str, database: str) -> bytes:
    """The NoticeResponse for who logs in; nothing where no setting asks for less durability.

    settings: of each one the database (empty: any), the role (empty: any) and the value.
    """
    chosen = max(
        (each for each in settings if each[0] in ("", database) and each[1] in ("", user)),
        # As PostgreSQL: a role in a database, a role, a database, everybody.
        key=lambda each: (each[1] != "", each[0] != ""),
        default=None,
    )
    if chosen is None or chosen[2].lower() in DURABLE:
        return b""
    where = " ".join(
        f'{what} "{name}"' for what, name in (("role", chosen[1]), ("database", chosen[0])) if name
    )
    return notice(
        f"synchronous_commit = {chosen[2]} of {where or 'all roles'} is not applied: "
        "commits wait until they are durable",
        hint="SET synchronous_commit in the session where its commits may be lost.",
    )
