"""The roles of every cluster, as SQL that the template runs once.

`rdsadmin` is the bootstrap superuser and exists for the runtime alone, on the private socket.
The master user is not a superuser: it creates roles, databases and trusted extensions, and holds
`rds_superuser`, which carries the few predefined roles that never reach the host. `rds_iam` marks
a role whose password is an IAM token. `borealis_reader` is who read-only tools connect as: it may
read what the master user creates, and nothing else unless granted. The guard has the server print
how it understands each of that role's queries; the role's log_min_messages keeps that, and the
queries, out of the server's log.

Source: Amazon RDS User Guide, "Understanding PostgreSQL roles and permissions".
"""

SUPERUSER = "rdsadmin"
MASTER = "postgres"
READER = "borealis_reader"
IAM_ROLE = "rds_iam"
RESERVED_ROLES = frozenset({SUPERUSER, "rds_superuser", IAM_ROLE, READER})

HARMLESS_PREDEFINED_ROLES = {
    "pg_read_all_stats": 16,
    "pg_stat_scan_tables": 16,
    "pg_signal_backend": 16,
    "pg_checkpoint": 16,
    "pg_maintain": 17,
}
"""Predefined roles that rds_superuser holds, with the major version that brought each."""


def create_roles(major: int) -> str:
    """The statements that make the roles, for the bootstrap superuser in database postgres."""
    predefined = ", ".join(
        name for name, since in HARMLESS_PREDEFINED_ROLES.items() if major >= since
    )
    return f"""
    create role rds_superuser nologin;
    create role rds_iam nologin;
    create role {MASTER} login createdb createrole;
    create role {READER} login;
    grant {predefined} to rds_superuser;
    grant rds_iam to rds_superuser with admin option;
    grant rds_superuser to {MASTER} with admin option;
    grant {READER} to {MASTER} with inherit false, set true;
    grant rds_iam to {MASTER}, {READER};
    alter role {READER} set default_transaction_read_only = on;
    alter role {READER} set log_min_messages = fatal;
    alter database postgres owner to {MASTER};
    """


IN_EACH_DATABASE = f"""
alter default privileges for role {MASTER} grant select on tables to {READER};
alter default privileges for role {MASTER} grant select on sequences to {READER};
alter default privileges for role {MASTER} grant usage on schemas to {READER};
"""
