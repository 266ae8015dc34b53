"""Tables and functions, as numbered migrations, and the steps that bring a schema up to date.

The hot statements are functions in the database: one round trip each, planned once for each
server connection without prepared statements of the client (so they are fast behind PgBouncer
too), and each a transaction of its own.

Locking: whoever adds to a thread holds its advisory lock shared, for the one statement; whoever
removes chunks from it holds it exclusively, for one bounded batch. So a chunk that a writer counts
on cannot vanish in between.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from memory.database.steps import Execute, FetchAll, FetchOne, Steps
from memory.errors import ConfigurationError, NewerSchemaError

DEFAULT_SCHEMA = "borealis"
MOST_PARTITIONS = 1024

# Two heads to a page, before a head moves out to TOAST: reading one is then a single page.
WIDEST_ROW_BYTES = 4080


@dataclass(frozen=True, slots=True)
class Component:
    """A set of tables that one class needs: its name and its migrations, oldest first."""

    name: str
    migrations: tuple[LiteralString, ...]


THREADS: LiteralString = """
create table {schema}.memory_threads (
    thread_key bigint generated always as identity primary key,
    tenant text not null default coalesce(current_setting('borealis.tenant', true), ''),
    thread_id text collate "C" not null,
    expires_at timestamptz,
    -- A deleted thread is cut off at once and emptied later, in batches.
    deleted_at timestamptz
);
create unique index memory_threads_id on {schema}.memory_threads (tenant, thread_id)
    where deleted_at is null;
create index memory_threads_expiry on {schema}.memory_threads (expires_at)
    where expires_at is not null and deleted_at is null;
create index memory_threads_deleted on {schema}.memory_threads (thread_key)
    where deleted_at is not null;

create table {schema}.memory_checkpoints (
    thread_key bigint not null,
    ns text collate "C" not null,
    -- Ids are packed by memory.encoding.ids.pack_id.
    checkpoint_id bytea not null,
    parent_id bytea,
    run_id text collate "C",
    -- What JSON can hold of the metadata, for filters; all of it unless the head has it too.
    metadata jsonb not null,
    exact boolean not null,
    head bytea not null,
    -- The addresses of the chunks, 16 bytes each, in the order in which the head uses them.
    refs bytea not null,
    primary key (thread_key, ns, checkpoint_id)
) {partitioning};
alter table {schema}.memory_checkpoints alter column head set storage external;
alter table {schema}.memory_checkpoints alter column refs set storage external;
create index memory_checkpoints_run on {schema}.memory_checkpoints (run_id)
    where run_id is not null;

create table {schema}.memory_chunks (
    thread_key bigint not null,
    address bytea not null,
    data bytea not null,
    primary key (thread_key, address)
) {partitioning};
alter table {schema}.memory_chunks alter column data set storage external;

create table {schema}.memory_writes (
    thread_key bigint not null,
    ns text collate "C" not null,
    checkpoint_id bytea not null,
    task_id bytea not null,
    idx integer not null,
    data bytea not null,
    primary key (thread_key, ns, checkpoint_id, task_id, idx)
) {partitioning};
alter table {schema}.memory_writes alter column data set storage external;

create table {schema}.memory_secrets (
    tenant text not null default coalesce(current_setting('borealis.tenant', true), ''),
    name text not null,
    value bytea not null,
    primary key (tenant, name)
);
"""

# "enable_seqscan = off": a plan made while a table was tiny must not outlive that time.
# Scalar subqueries, not joins: they can only be planned as one index look-up for each address, so
# that a read stays flat in the length of the thread.
THREAD_FUNCTIONS: LiteralString = """
create function {schema}.memory_thread_key(p_tenant text, p_thread text) returns bigint
language plpgsql set enable_seqscan = off as $$
declare
    v_key bigint;
    v_expired boolean;
begin
    perform pg_advisory_xact_lock_shared(
        hashtextextended(p_tenant || E'\\x1f' || p_thread, 4715));
    loop
        select thread_key, expires_at <= now() into v_key, v_expired from {schema}.memory_threads
        where tenant = p_tenant and thread_id = p_thread and deleted_at is null;
        exit when found and v_expired is not true;
        -- What expired stays gone: who writes to it again starts an empty thread.
        update {schema}.memory_threads set deleted_at = now()
        where thread_key = v_key and deleted_at is null and expires_at <= now();
        insert into {schema}.memory_threads (tenant, thread_id) values (p_tenant, p_thread)
        on conflict (tenant, thread_id) where deleted_at is null do nothing
        returning thread_key into v_key;
        exit when found;
    end loop;
    return v_key;
end $$;

create function {schema}.memory_renew(p_key bigint, p_ttl interval) returns void
language sql as $$
    -- Not at every write: the row would be rewritten for a gain of less than a tenth of the TTL.
    update {schema}.memory_threads set expires_at = now() + p_ttl
    where thread_key = p_key and (expires_at is null or expires_at < now() + p_ttl * 0.9);
$$;

create function {schema}.memory_get(p_tenant text, p_thread text, p_ns text, p_id bytea)
returns table (checkpoint_id bytea, parent_id bytea, head bytea, metadata jsonb, refs bytea,
               chunks bytea[], tasks bytea[], indexes integer[], writes bytea[])
language plpgsql stable
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_key bigint;
begin
    select thread_key into v_key from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_thread and deleted_at is null
      and (expires_at is null or expires_at > now());
    if not found then
        return;
    end if;
    if p_id is null then
        select c.checkpoint_id, c.parent_id, c.head, c.metadata, c.refs
        into checkpoint_id, parent_id, head, metadata, refs
        from {schema}.memory_checkpoints c
        where c.thread_key = v_key and c.ns = p_ns
        order by c.checkpoint_id desc limit 1;
    else
        select c.checkpoint_id, c.parent_id, c.head, c.metadata, c.refs
        into checkpoint_id, parent_id, head, metadata, refs
        from {schema}.memory_checkpoints c
        where c.thread_key = v_key and c.ns = p_ns and c.checkpoint_id = p_id;
    end if;
    if not found then
        return;
    end if;
    if length(refs) > 0 then
        chunks := array(
            select (select b.data from {schema}.memory_chunks b
                    where b.thread_key = v_key and b.address = substring(refs, g + 1, 16))
            from generate_series(0, length(refs) - 1, 16) g);
    end if;
    select array_agg(w.task_id), array_agg(w.idx), array_agg(w.data)
    into tasks, indexes, writes
    from {schema}.memory_writes w
    where w.thread_key = v_key and w.ns = p_ns and w.checkpoint_id = memory_get.checkpoint_id;
    return next;
end $$;

create function {schema}.memory_put(
    p_tenant text, p_thread text, p_ns text, p_id bytea, p_parent bytea, p_run text,
    p_metadata jsonb, p_exact boolean, p_head bytea, p_refs bytea,
    p_addresses bytea[], p_chunks bytea[], p_ttl interval
) returns boolean
language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_key bigint;
    v_expires timestamptz;
begin
    -- The usual case of memory_thread_key, without the cost of a call.
    perform pg_advisory_xact_lock_shared(
        hashtextextended(p_tenant || E'\\x1f' || p_thread, 4715));
    select thread_key, expires_at into v_key, v_expires from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_thread and deleted_at is null;
    if not found or v_expires <= now() then
        v_key := {schema}.memory_thread_key(p_tenant, p_thread);
    end if;
    if array_length(p_addresses, 1) > 0 then
        insert into {schema}.memory_chunks (thread_key, address, data)
        select v_key, n.address, n.data from unnest(p_addresses, p_chunks) as n (address, data)
        on conflict do nothing;
    end if;
    if length(p_refs) > 0 then
        perform from generate_series(0, length(p_refs) - 1, 16) g
        where (select true from {schema}.memory_chunks b
               where b.thread_key = v_key and b.address = substring(p_refs, g + 1, 16)) is null;
        if found then
            -- The client counted on a chunk that is gone: it has to send everything.
            return false;
        end if;
    end if;
    insert into {schema}.memory_checkpoints
        (thread_key, ns, checkpoint_id, parent_id, run_id, metadata, exact, head, refs)
    values (v_key, p_ns, p_id, p_parent, p_run, p_metadata, p_exact, p_head, p_refs)
    on conflict (thread_key, ns, checkpoint_id) do update
    set parent_id = excluded.parent_id, run_id = excluded.run_id, metadata = excluded.metadata,
        exact = excluded.exact, head = excluded.head, refs = excluded.refs;
    if p_ttl is not null then
        perform {schema}.memory_renew(v_key, p_ttl);
    end if;
    return true;
end $$;

create function {schema}.memory_put_writes(
    p_tenant text, p_thread text, p_ns text, p_id bytea, p_task bytea,
    p_indexes integer[], p_data bytea[], p_ttl interval
) returns void
language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_key bigint;
    v_expires timestamptz;
begin
    perform pg_advisory_xact_lock_shared(
        hashtextextended(p_tenant || E'\\x1f' || p_thread, 4715));
    select thread_key, expires_at into v_key, v_expires from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_thread and deleted_at is null;
    if not found or v_expires <= now() then
        v_key := {schema}.memory_thread_key(p_tenant, p_thread);
    end if;
    -- A task's ordinary write is kept as it was first made; errors, interrupts and resumes
    -- (negative indexes) take the latest.
    insert into {schema}.memory_writes (thread_key, ns, checkpoint_id, task_id, idx, data)
    select v_key, p_ns, p_id, p_task, n.idx, n.data from unnest(p_indexes, p_data) as n (idx, data)
    on conflict (thread_key, ns, checkpoint_id, task_id, idx) do update set data = excluded.data
    where excluded.idx < 0;
    if p_ttl is not null then
        perform {schema}.memory_renew(v_key, p_ttl);
    end if;
end $$;
"""

MAINTENANCE_FUNCTIONS: LiteralString = """
create function {schema}.memory_lock_thread(p_tenant text, p_thread text) returns bigint
language plpgsql as $$
declare
    v_key bigint;
begin
    perform pg_advisory_xact_lock(hashtextextended(p_tenant || E'\\x1f' || p_thread, 4715));
    select thread_key into v_key from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_thread and deleted_at is null;
    return v_key;
end $$;

create function {schema}.memory_delete(p_tenant text, p_thread text) returns bigint
language plpgsql as $$
declare
    v_key bigint := {schema}.memory_lock_thread(p_tenant, p_thread);
begin
    update {schema}.memory_threads set deleted_at = now() where thread_key = v_key;
    return v_key;
end $$;

-- Mark expired threads as deleted, at most p_limit of them, skipping those in use.
create function {schema}.memory_expire(p_tenant text, p_limit integer) returns integer
language plpgsql as $$
declare
    v_thread record;
    v_marked integer := 0;
begin
    for v_thread in
        select thread_key, thread_id from {schema}.memory_threads
        where expires_at <= now() and deleted_at is null and tenant = p_tenant
        order by expires_at limit p_limit
    loop
        if pg_try_advisory_xact_lock(
            hashtextextended(p_tenant || E'\\x1f' || v_thread.thread_id, 4715))
        then
            update {schema}.memory_threads set deleted_at = now()
            where thread_key = v_thread.thread_key and deleted_at is null and expires_at <= now();
            v_marked := v_marked + 1;
        end if;
    end loop;
    return v_marked;
end $$;

-- Remove at most p_limit rows of each table of a deleted thread; true when it is gone.
create function {schema}.memory_drain(p_key bigint, p_limit integer) returns boolean
language plpgsql as $$
declare
    v_count bigint;
    v_most bigint := 0;
begin
    delete from {schema}.memory_writes where thread_key = p_key and ctid = any (array(
        select ctid from {schema}.memory_writes where thread_key = p_key limit p_limit));
    get diagnostics v_count = row_count;
    v_most := greatest(v_most, v_count);
    delete from {schema}.memory_checkpoints where thread_key = p_key and ctid = any (array(
        select ctid from {schema}.memory_checkpoints where thread_key = p_key limit p_limit));
    get diagnostics v_count = row_count;
    v_most := greatest(v_most, v_count);
    delete from {schema}.memory_chunks where thread_key = p_key and ctid = any (array(
        select ctid from {schema}.memory_chunks where thread_key = p_key limit p_limit));
    get diagnostics v_count = row_count;
    v_most := greatest(v_most, v_count);
    if v_most < p_limit then
        delete from {schema}.memory_threads where thread_key = p_key and deleted_at is not null;
        return true;
    end if;
    return false;
end $$;

-- Remove the named checkpoints with their writes; kept children forget their parents.
create function {schema}.memory_remove(
    p_tenant text, p_thread text, p_nss text[], p_ids bytea[]) returns void
language plpgsql as $$
declare
    v_key bigint := {schema}.memory_lock_thread(p_tenant, p_thread);
begin
    delete from {schema}.memory_writes w using unnest(p_nss, p_ids) as n (ns, id)
    where w.thread_key = v_key and w.ns = n.ns and w.checkpoint_id = n.id;
    delete from {schema}.memory_checkpoints c using unnest(p_nss, p_ids) as n (ns, id)
    where c.thread_key = v_key and c.ns = n.ns and c.checkpoint_id = n.id;
    update {schema}.memory_checkpoints c set parent_id = null
    from unnest(p_nss, p_ids) as n (ns, id)
    where c.thread_key = v_key and c.ns = n.ns and c.parent_id = n.id;
end $$;

-- Remove, of the p_limit chunks after p_after, those that no checkpoint of the thread refers to.
-- Returns the last address looked at; null when there is none left.
create function {schema}.memory_collect(
    p_tenant text, p_thread text, p_after bytea, p_limit integer) returns bytea
language plpgsql as $$
declare
    v_key bigint := {schema}.memory_lock_thread(p_tenant, p_thread);
    v_addresses bytea[];
begin
    v_addresses := array(
        select address from {schema}.memory_chunks
        where thread_key = v_key and address > p_after order by address limit p_limit);
    delete from {schema}.memory_chunks
    where thread_key = v_key and address = any (v_addresses) and address not in (
        select substring(c.refs, g + 1, 16)
        from {schema}.memory_checkpoints c, generate_series(0, length(c.refs) - 1, 16) g
        where c.thread_key = v_key);
    return v_addresses[array_length(v_addresses, 1)];
end $$;

create function {schema}.memory_copy(p_tenant text, p_source text, p_target text) returns void
language plpgsql as $$
declare
    v_source bigint;
    v_target bigint;
begin
    select thread_key into v_source from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_source and deleted_at is null
      and (expires_at is null or expires_at > now());
    if not found or p_source = p_target then
        return;
    end if;
    v_target := {schema}.memory_thread_key(p_tenant, p_target);
    insert into {schema}.memory_chunks
        select v_target, address, data from {schema}.memory_chunks where thread_key = v_source
        on conflict do nothing;
    insert into {schema}.memory_checkpoints
        select v_target, ns, checkpoint_id, parent_id, run_id, metadata, exact, head, refs
        from {schema}.memory_checkpoints where thread_key = v_source
        on conflict do nothing;
    insert into {schema}.memory_writes
        select v_target, ns, checkpoint_id, task_id, idx, data
        from {schema}.memory_writes where thread_key = v_source
        on conflict do nothing;
    update {schema}.memory_threads t set expires_at = s.expires_at
    from {schema}.memory_threads s where t.thread_key = v_target and s.thread_key = v_source;
end $$;
"""

THREAD_POLICIES: LiteralString = """
alter table {schema}.memory_threads enable row level security;
create policy memory_tenant on {schema}.memory_threads
    using (tenant = coalesce(current_setting('borealis.tenant', true), ''));
alter table {schema}.memory_secrets enable row level security;
create policy memory_tenant on {schema}.memory_secrets
    using (tenant = coalesce(current_setting('borealis.tenant', true), ''));
alter table {schema}.memory_checkpoints enable row level security;
create policy memory_tenant on {schema}.memory_checkpoints using (exists (
    select from {schema}.memory_threads t where t.thread_key = memory_checkpoints.thread_key));
alter table {schema}.memory_chunks enable row level security;
create policy memory_tenant on {schema}.memory_chunks using (exists (
    select from {schema}.memory_threads t where t.thread_key = memory_chunks.thread_key));
alter table {schema}.memory_writes enable row level security;
create policy memory_tenant on {schema}.memory_writes using (exists (
    select from {schema}.memory_threads t where t.thread_key = memory_writes.thread_key));
"""

CHECKPOINTS = Component(
    "checkpoints", (THREADS, THREAD_FUNCTIONS, MAINTENANCE_FUNCTIONS, THREAD_POLICIES)
)

ITEMS: LiteralString = """
create table {schema}.memory_namespaces (
    ns_key bigint generated always as identity primary key,
    tenant text not null default coalesce(current_setting('borealis.tenant', true), ''),
    path text[] collate "C" not null,
    unique (tenant, path)
);

create table {schema}.memory_items (
    item_key bigint generated always as identity primary key,
    ns_key bigint not null references {schema}.memory_namespaces on delete cascade,
    key text collate "C" not null,
    -- What JSON can hold of the value, for filters; all of it unless `sealed` is there.
    value jsonb not null,
    sealed bytea,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    ttl interval,
    expires_at timestamptz,
    search tsvector,
    unique (ns_key, key)
);
create index memory_items_recent on {schema}.memory_items (ns_key, updated_at desc);
create index memory_items_expiry on {schema}.memory_items (expires_at)
    where expires_at is not null;
create index memory_items_search on {schema}.memory_items using gin (search);
"""

ITEM_POLICIES: LiteralString = """
alter table {schema}.memory_namespaces enable row level security;
create policy memory_tenant on {schema}.memory_namespaces
    using (tenant = coalesce(current_setting('borealis.tenant', true), ''));
alter table {schema}.memory_items enable row level security;
create policy memory_tenant on {schema}.memory_items using (exists (
    select from {schema}.memory_namespaces n where n.ns_key = memory_items.ns_key));
"""

ITEM_FUNCTIONS: LiteralString = """
-- Store items of one namespace; returns their keys in the order given.
create function {schema}.memory_put_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_language regconfig
) returns bigint[]
language plpgsql set enable_seqscan = off as $$
declare
    v_ns bigint;
    v_result bigint[];
begin
    loop
        -- Locked, so that a sweep cannot remove the namespace before its item is there.
        select ns_key into v_ns from {schema}.memory_namespaces
        where tenant = p_tenant and path = p_path for key share;
        exit when found;
        insert into {schema}.memory_namespaces (tenant, path) values (p_tenant, p_path)
        on conflict (tenant, path) do nothing;
    end loop;
    with put as (
        insert into {schema}.memory_items
            (ns_key, key, value, sealed, ttl, expires_at, search)
        select v_ns, n.key, n.value, n.sealed, n.ttl, now() + n.ttl,
               to_tsvector(p_language, n.search)
        from unnest(p_keys, p_values, p_sealed, p_ttls, p_searches)
            as n (key, value, sealed, ttl, search)
        -- In one order, or two batches with the same keys could wait for each other.
        order by n.key
        on conflict (ns_key, key) do update
        set value = excluded.value, sealed = excluded.sealed, ttl = excluded.ttl,
            expires_at = excluded.expires_at, search = excluded.search,
            updated_at = clock_timestamp()
        returning item_key, key
    )
    select array_agg(put.item_key order by n.position) into v_result
    from unnest(p_keys) with ordinality as n (key, position) join put using (key);
    return v_result;
end $$;
"""

ITEMS_COMPONENT = Component("items", (ITEMS, ITEM_FUNCTIONS, ITEM_POLICIES))

MESSAGES: LiteralString = """
create table {schema}.memory_messages (
    message_key bigint generated always as identity primary key,
    tenant text not null default coalesce(current_setting('borealis.tenant', true), ''),
    session_id text collate "C" not null,
    -- Made by the client, so that a retried insert is the same row.
    message_id uuid not null,
    data bytea not null,
    created_at timestamptz not null default now(),
    unique (tenant, session_id, message_id)
);
create index memory_messages_session
    on {schema}.memory_messages (tenant, session_id, message_key);
alter table {schema}.memory_messages enable row level security;
create policy memory_tenant on {schema}.memory_messages
    using (tenant = coalesce(current_setting('borealis.tenant', true), ''));
"""

MESSAGES_COMPONENT = Component("messages", (MESSAGES,))

PARTITIONED = ("memory_checkpoints", "memory_chunks", "memory_writes")

SELECT_VERSION = sql.SQL("select max(version) from {schema}.memory_migrations where component = %s")
SELECT_TABLE = sql.SQL("select to_regclass(%s) is not null")
CREATE_MIGRATIONS = sql.SQL(
    """create table if not exists {schema}.memory_migrations (
        component text not null, version integer not null,
        applied_at timestamptz not null default now(), primary key (component, version))"""
)
INSERT_VERSION = sql.SQL(
    "insert into {schema}.memory_migrations (component, version) values (%s, %s)"
)


def installed_version(schema: str, component: Component) -> Steps[int]:
    """The number of applied migrations; 0 if there are none, or no such schema."""
    regclass = sql.Identifier(schema, "memory_migrations").as_string()
    present = yield FetchOne(SELECT_TABLE, (regclass,))
    if not present[0]:
        return 0
    row = yield FetchOne(SELECT_VERSION.format(schema=sql.Identifier(schema)), (component.name,))
    return row[0] or 0


def install(schema: str, component: Component, *, partitions: int = 0) -> Steps[None]:
    """Bring one component of a schema up to date; to be run as one transaction.

    Any number of processes may do so at once: an advisory lock lets one through at a time, and
    PostgreSQL's DDL is transactional, so that each finds either the old schema or the new one.

    partitions: at the first installation, partition checkpoints, chunks and writes by hash of the
        thread into that many tables (0: do not).
    """
    if not 0 <= partitions <= MOST_PARTITIONS or partitions == 1:
        raise ConfigurationError(
            f"partitions is {partitions}; it must be 0 (none) or from 2 to {MOST_PARTITIONS}"
        )
    name = sql.Identifier(schema)
    yield FetchOne(
        "select pg_advisory_xact_lock(hashtextextended('borealis.memory:' || %s, 4715))", (schema,)
    )
    exists = yield FetchOne(
        "select exists (select from pg_namespace where nspname = %s)", (schema,)
    )
    if not exists[0]:
        yield Execute(sql.SQL("create schema {}").format(name))
    yield Execute(CREATE_MIGRATIONS.format(schema=name))
    version = yield from installed_version(schema, component)
    if version > len(component.migrations):
        raise NewerSchemaError(
            f"schema {schema!r} has version {version} of {component.name}; this package knows "
            f"{len(component.migrations)}. Upgrade the package"
        )
    clause = sql.SQL("partition by hash (thread_key)" if partitions else "")
    for number in range(version, len(component.migrations)):
        migration = sql.SQL(component.migrations[number])
        yield Execute(migration.format(schema=name, partitioning=clause))
        if component is CHECKPOINTS and number == 0:
            for table in PARTITIONED if partitions else ():
                yield from _partition(schema, table, partitions)
            for leaf in _leaves("memory_checkpoints", partitions):
                yield Execute(
                    sql.SQL("alter table {} set (toast_tuple_target = {})").format(
                        sql.Identifier(schema, leaf), sql.Literal(WIDEST_ROW_BYTES)
                    )
                )
        yield FetchAll(
            sql.SQL("{} returning 1").format(INSERT_VERSION.format(schema=name)),
            (component.name, number + 1),
        )


def _leaves(table: str, partitions: int) -> list[str]:
    return [f"{table}_{remainder}" for remainder in range(partitions)] or [table]


def _partition(schema: str, table: str, partitions: int) -> Steps[None]:
    for remainder, leaf in enumerate(_leaves(table, partitions)):
        yield Execute(
            sql.SQL(
                "create table {} partition of {} for values with (modulus {}, remainder {})"
            ).format(
                sql.Identifier(schema, leaf),
                sql.Identifier(schema, table),
                sql.Literal(partitions),
                sql.Literal(remainder),
            )
        )
