"""What the gateway asks of the cluster behind an endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

# Facts of one role in the order of Login's fields; the parameters are its name and the oid of
# rds_iam, which a tenant may rename. Memberships are followed by hand: pg_has_role says yes to
# every role for a superuser. No name is left to a search path.
LOGIN_QUERY = """
with recursive wanted as (
    select * from pg_catalog.pg_authid where rolname operator(pg_catalog.=) %s
), memberships as (
    select oid from wanted
    union
    select m.roleid from pg_catalog.pg_auth_members m
      join memberships on m.member operator(pg_catalog.=) memberships.oid
)
select w.rolname,
       w.rolpassword as verifier,
       case when pg_catalog.isfinite(w.rolvaliduntil) then w.rolvaliduntil end as valid_until,
       exists (select from memberships where oid operator(pg_catalog.=) %s) as iam,
       w.rolsuper as superuser,
       array(select array[coalesce(d.datname, ''),
                          case when s.setrole operator(pg_catalog.=) w.oid
                               then w.rolname else '' end,
                          pg_catalog.split_part(c.setting, '=', 2)]::pg_catalog.text[]
               from pg_catalog.pg_db_role_setting s
               left join pg_catalog.pg_database d on d.oid operator(pg_catalog.=) s.setdatabase,
                    pg_catalog.unnest(s.setconfig) as c(setting)
              where (s.setrole operator(pg_catalog.=) w.oid
                     or s.setrole operator(pg_catalog.=) 0::pg_catalog.oid)
                and pg_catalog.starts_with(c.setting, 'synchronous_commit=')) as synchronous_commit
  from wanted w
"""


@dataclass(frozen=True, slots=True)
class Login:
    """Which credentials open a connection of a role.

    verifier: its SCRAM-SHA-256 verifier as in `pg_authid.rolpassword`; None: no password login.
    valid_until: aware; from then on the password counts no more (`VALID UNTIL`), None: forever.
    iam: it is a member of rds_iam: an IAM token opens it, inside TLS. If it has a verifier as
        well, either is accepted; where IAM is switched off or TLS missing, the password alone.
    superuser: never let in through a gateway.
    synchronous_commit: what ALTER ROLE and ALTER DATABASE say of it, for this role or for all:
        of each setting the database (empty: any), the role (empty: any) and the value.
    """

    name: str
    verifier: str | None = field(default=None, repr=False)
    valid_until: datetime | None = None
    iam: bool = False
    superuser: bool = False
    synchronous_commit: Sequence[Sequence[str]] = ()


class Backend(Protocol):
    """One cluster endpoint's way to PostgreSQL. All calls come from the gateway's event loop."""

    async def login(self, user: str) -> Login | None:
        """Facts of a role, None if there is none. May wake the instance; a paused cluster may
        answer from memory. Raises as `wake` does.
        """

    async def wake(self) -> Path:
        """The path of PostgreSQL's unix socket file, once it takes connections.

        Called once at a time however many clients wait, and not cancelled when they go.
        Raises ConnectionError where the instance went away meanwhile: the client waits, and it is
        asked again. Raises InvalidClusterStateError (its text is shown to the client) or another
        BorealisError (logged; the client is told what `not_now` says of it).
        """

    def route(self, woken: Path) -> Path:
        """Which socket one client goes to, where several instances serve: asked for each of them.

        woken: what the last `wake` returned. Raises ConnectionError where nothing serves any more.
        """

    async def may_cancel(self, pid: int) -> bool:
        """Whether a CancelRequest for a session's server process may be passed on now.

        Not while it waits for its commit to become durable: PostgreSQL would report success with
        no more than a warning, and the client would believe in a commit that can still be lost.
        """

    def opened(self) -> None:
        """A client has sent a startup message: from now on the cluster must not pause."""

    def closed(self) -> None:
        """The counterpart, exactly once for each `opened`."""
