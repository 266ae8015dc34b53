"""Which rights a cluster's roles have, and what has to change where the recipe does not give them.

Roles, memberships and their settings are shared by all databases of a cluster, and the master user
may change some of them: it can rename `rds_iam`, whose ADMIN OPTION it needs. Others it can only
have changed after it was a superuser, which older releases let happen. Pure: facts in, statements
and their reasons out.

Source: PostgreSQL catalogs pg_authid, pg_auth_members, pg_db_role_setting, pg_parameter_acl.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import LiteralString

from psycopg import sql

from cluster_runtime.engine.access import roles
from cluster_runtime.engine.access.names import Named, naming, shown

SUPERUSER_OID = 10
FIRST_NORMAL_OID = 16384
"""Objects below it came with PostgreSQL (access/transam.h, FirstNormalObjectId)."""

RIGHTS_QUERY = """
select
 (select pg_catalog.json_agg(pg_catalog.json_build_array(
         oid::pg_catalog.int8, rolname, rolsuper, rolreplication, rolbypassrls, rolcanlogin))
    from pg_catalog.pg_authid),
 (select pg_catalog.json_agg(pg_catalog.json_build_array(
         roleid::pg_catalog.int8, member::pg_catalog.int8, grantor::pg_catalog.int8,
         admin_option, inherit_option, set_option))
    from pg_catalog.pg_auth_members),
 (select pg_catalog.json_agg(pg_catalog.json_build_array(
         setdatabase::pg_catalog.int8, setrole::pg_catalog.int8))
    from pg_catalog.pg_db_role_setting),
 (select pg_catalog.json_agg(pg_catalog.json_build_array(
         oid::pg_catalog.int8, parname, acl.grantee::pg_catalog.int8))
    from pg_catalog.pg_parameter_acl, lateral pg_catalog.aclexplode(paracl) acl),
 (select pg_catalog.json_agg(pg_catalog.json_build_array(oid::pg_catalog.int8, datname))
    from pg_catalog.pg_database),
 (select pg_catalog.json_agg(pg_catalog.json_build_array(
         d.datname, d.datdba::pg_catalog.int8,
         array(select acl.grantee::pg_catalog.int8 from pg_catalog.aclexplode(d.datacl) acl)))
    from pg_catalog.pg_database d
   where d.datname operator(pg_catalog.=)
         any (array['rdsadmin', 'template0', 'template1']::pg_catalog.name[]))
"""


@dataclass(frozen=True, slots=True)
class Role:
    """A role as pg_authid has it."""

    oid: int
    name: str
    superuser: bool
    replication: bool
    bypass_rls: bool
    login: bool

    @property
    def of_postgresql(self) -> bool:
        """A predefined role."""
        return self.oid < FIRST_NORMAL_OID and self.oid != SUPERUSER_OID


@dataclass(frozen=True, slots=True)
class Membership:
    """A row of pg_auth_members; role, member and grantor are oids."""

    role: int
    member: int
    grantor: int
    admin: bool
    inherit: bool
    set: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """What RIGHTS_QUERY found. settings: (database, role) oids, 0 for all; parameters: oid, name
    and grantee of GRANT ON PARAMETER; databases: names by oid; own: name, owner and who else has
    rights, of the runtime's database and of the templates.
    """

    roles: tuple[Role, ...]
    memberships: tuple[Membership, ...]
    settings: tuple[tuple[int, int], ...]
    parameters: tuple[tuple[int, str, int], ...]
    databases: Mapping[int, str]
    own: tuple[tuple[str, int, list[int]], ...] = ()

    @classmethod
    def from_row(cls, row: tuple[list[list[object]] | None, ...]) -> "Rights":
        """The one row of RIGHTS_QUERY."""
        found, memberships, settings, parameters, databases, own = (each or [] for each in row)
        return cls(
            tuple(Role(*each) for each in found),  # type: ignore[arg-type]
            tuple(Membership(*each) for each in memberships),  # type: ignore[arg-type]
            tuple((each[0], each[1]) for each in settings),  # type: ignore[misc]
            tuple((each[0], each[1], each[2]) for each in parameters),  # type: ignore[misc]
            {each[0]: each[1] for each in databases},  # type: ignore[misc]
            tuple((each[0], each[1], each[2]) for each in own),  # type: ignore[misc]
        )


@dataclass(frozen=True, slots=True)
class Repair:
    """A statement for the superuser, and what to tell the cluster's owner."""

    statement: sql.Composed
    report: str


def repairs(
    rights: Rights, runtime_roles: Mapping[str, int], master: str, major: int
) -> list[Repair]:
    """What brings a cluster's rights back to the recipe, in an order that works.

    runtime_roles: the oids of the runtime's roles by the names they ought to have. master: the
    name of the master user. An empty list: nothing is amiss.
    """
    names = _names_after(rights, runtime_roles)
    return [
        *_renamed_roles(rights, names, runtime_roles),
        *_attributes(rights, runtime_roles, names),
        *_missing_grants(rights, names, master, major),
        *_excess_memberships(rights, names, master, major),
        *_reserved_settings(rights),
        *_parameters(rights, names),
        *_databases(rights, names),
    ]


def _names_after(rights: Rights, runtime_roles: Mapping[str, int]) -> dict[int, str]:
    """The roles' names by oid, once the runtime's have theirs again."""
    own = {oid: name for name, oid in runtime_roles.items()}
    taken = [role.name for role in rights.roles]
    return {
        role.oid: own.get(role.oid)
        or (_free(role, taken) if role.name in runtime_roles else role.name)
        for role in rights.roles
    }


def _free(role: Role, taken: Collection[str]) -> str:
    """A name like its own that no role has, whatever a tenant called others."""
    name = f"{role.name}_{role.oid}"
    others = (f"{name}_{number}" for number in count(1))
    return next(each for each in chain([name], others) if each not in taken)


def _renamed_roles(
    rights: Rights, names: Mapping[int, str], runtime_roles: Mapping[str, int]
) -> Iterator[Repair]:
    now = {role.oid: role.name for role in rights.roles}
    squatters = [
        role for role in rights.roles if role.name in runtime_roles and names[role.oid] != role.name
    ]
    for role in squatters:
        now[role.oid] = _free(role, now.values())
        yield _rename(role.oid, role.name, now[role.oid], "that name is the runtime's")
    for name, oid in runtime_roles.items():
        if now.get(oid, name) != name:
            yield _rename(oid, now[oid], name, "it is the runtime's")


def _rename(oid: int, now: str, name: str, why: str) -> Repair:
    return Repair(
        naming("alter role {} rename to {}", Named("role", oid, now), name),
        f"role {shown(now)} is {name!r} now: {why}",
    )


def _attributes(
    rights: Rights, runtime_roles: Mapping[str, int], names: Mapping[int, str]
) -> Iterator[Repair]:
    no_login = {oid for name, oid in runtime_roles.items() if name != roles.READER}
    for role in rights.roles:
        if role.oid == SUPERUSER_OID:
            continue
        held: dict[LiteralString, bool] = {
            "superuser": role.superuser,
            "replication": role.replication,
            "bypassrls": role.bypass_rls,
            "login": role.login and role.oid in no_login,
        }
        excess = [attribute for attribute, on in held.items() if on]
        if excess:
            name = names[role.oid]
            options = " ".join(f"no{each}" for each in excess)
            yield Repair(
                naming("alter role {} " + options, Named("role", role.oid, name)),
                f"role {shown(name)} was {' and '.join(excess)}, which the runtime gives to "
                "nobody: revoked",
            )


def _missing_grants(
    rights: Rights, names: Mapping[int, str], master: str, major: int
) -> Iterator[Repair]:
    held = {
        (names[m.role], names[m.member]): m
        for m in rights.memberships
        if m.grantor == SUPERUSER_OID
    }
    for grant in roles.recipe_grants(major, master):
        m = held.get((grant.role, grant.member))
        if m is None or (m.admin, m.inherit, m.set) < (grant.admin, grant.inherit, grant.set):
            yield Repair(
                grant.statement, f"role {grant.member!r} lacked {grant.role!r}: granted again"
            )


def _excess_memberships(
    rights: Rights, names: Mapping[int, str], master: str, major: int
) -> Iterator[Repair]:
    recipe = {(grant.role, grant.member): grant for grant in roles.recipe_grants(major, master)}
    of_postgresql = {role.oid for role in rights.roles if role.of_postgresql}
    for m in rights.memberships:
        if m.member in of_postgresql:
            continue
        role, member = names[m.role], names[m.member]
        given = recipe.get((role, member)) if m.grantor == SUPERUSER_OID else None
        if given is None and (m.role in of_postgresql or _is_closed(role, member)):
            yield Repair(
                _membership("revoke {} from {} granted by {} cascade", m, names),
                f"role {shown(member)} was a member of {shown(role)}, which the runtime does not "
                "give: revoked",
            )
        elif role == roles.RDS_SUPERUSER and m.admin and not (given and given.admin):
            yield from _without_admin(rights, m, names)


def _is_closed(role: str, member: str) -> bool:
    """Whether `role` is for nobody but whom the recipe names, or `member` for nothing but that."""
    if role in (roles.SUPERUSER, roles.GRANTOR, roles.READER):
        return True
    return member in roles.RUNTIME_ROLES and role in roles.RUNTIME_ROLES


def _without_admin(rights: Rights, m: Membership, names: Mapping[int, str]) -> Iterator[Repair]:
    """Take the ADMIN OPTION of rds_superuser away; those it was passed on to keep the role."""
    for passed_on in rights.memberships:
        member = names[passed_on.member]
        if (passed_on.role, passed_on.grantor) == (m.role, m.member) and not _is_closed(
            names[m.role], member
        ):
            yield Repair(
                naming(
                    "grant {} to {} granted by {}",
                    Named("role", m.role, names[m.role]),
                    Named("role", passed_on.member, member),
                    roles.GRANTOR,
                ),
                f"role {shown(member)} keeps {names[m.role]!r}, now granted by {roles.GRANTOR!r}",
            )
    yield Repair(
        _membership("revoke admin option for {} from {} granted by {} cascade", m, names),
        f"role {shown(names[m.member])} passes {names[m.role]!r} on with rds_grant_superuser() "
        "from now on, not with its ADMIN OPTION",
    )


def _membership(statement: LiteralString, m: Membership, names: Mapping[int, str]) -> sql.Composed:
    return naming(
        statement, *(Named("role", oid, names[oid]) for oid in (m.role, m.member, m.grantor))
    )


def _reserved_settings(rights: Rights) -> Iterator[Repair]:
    """Settings that only a superuser can have made, for everybody or for the runtime itself."""
    for database, role in sorted(rights.settings):
        name = rights.databases.get(database, "")
        if role == SUPERUSER_OID and database:
            statement = naming(
                "alter role {} in database {} reset all",
                roles.SUPERUSER,
                Named("database", database, name),
            )
            whose = f"role {roles.SUPERUSER!r} in database {shown(name)}"
        elif role == SUPERUSER_OID:
            statement = naming("alter role {} reset all", roles.SUPERUSER)
            whose = f"role {roles.SUPERUSER!r}"
        elif role == 0 and database == 0:
            statement, whose = naming("alter role all reset all"), "all roles"
        elif name == roles.SUPERUSER and role == 0:
            statement, whose = naming("alter database {} reset all", name), f"database {name!r}"
        else:
            continue
        yield Repair(statement, f"settings of {whose} were not the runtime's: reset")


def _parameters(rights: Rights, names: Mapping[int, str]) -> Iterator[Repair]:
    for oid, name, grantee in sorted(set(rights.parameters)):
        if grantee == SUPERUSER_OID:
            continue
        statement: LiteralString = "revoke all on parameter {} from "
        parameter = Named("parameter", oid, name)
        if grantee:
            whom = shown(names[grantee])
            revoked = naming(
                statement + "{} cascade", parameter, Named("role", grantee, names[grantee])
            )
        else:
            whom, revoked = "everybody", naming(statement + "public cascade", parameter)
        yield Repair(revoked, f"{whom} had rights on the server's setting {shown(name)}: revoked")


def _databases(rights: Rights, names: Mapping[int, str]) -> Iterator[Repair]:
    """The runtime's own database is for nobody else, and the templates are the superuser's."""
    for name, owner, grantees in rights.own:
        if owner != SUPERUSER_OID:
            yield Repair(
                naming("alter database {} owner to {}", name, roles.SUPERUSER),
                f"database {name!r} belonged to role {shown(names[owner])}: taken back",
            )
        if name != roles.SUPERUSER:
            continue
        for grantee in sorted(set(grantees) - {SUPERUSER_OID, owner}):
            whom = shown(names[grantee]) if grantee else "everybody"
            revoked = (
                naming(
                    "revoke all on database {} from {} cascade",
                    name,
                    Named("role", grantee, names[grantee]),
                )
                if grantee
                else naming("revoke all on database {} from public cascade", name)
            )
            yield Repair(revoked, f"{whom} had rights on database {name!r}: revoked")
