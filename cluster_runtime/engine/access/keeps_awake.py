"""What goes on in a server that no connection through the gateway shows, asked in `rdsadmin`."""

from typing import LiteralString

INTERNAL = (
    *("archiver", "autovacuum launcher", "autovacuum worker", "background writer", "checkpointer"),
    *("client backend", "io worker", "logical replication launcher", "slotsync worker"),
    *("standalone backend", "startup", "walreceiver", "walsender", "walsummarizer", "walwriter"),
)
"""Kinds of server processes that work for the server itself, or for a connection that is counted.

Source: PostgreSQL `miscinit.c`, GetBackendTypeDesc.
"""

KEEPS_AWAKE: LiteralString = """
select (select pg_catalog.count(*) from pg_catalog.pg_replication_slots
         where slot_type operator(pg_catalog.=) 'logical'),
       (select pg_catalog.count(*) from pg_catalog.pg_subscription where subenabled),
       (select pg_catalog.count(*) from pg_catalog.pg_stat_activity
         where xact_start is not null
           and backend_type operator(pg_catalog.<>) all (%s::pg_catalog.text[]))
"""
"""Logical replication slots, enabled subscriptions, and transactions of background workers."""
