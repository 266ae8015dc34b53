"""The tables of checkpoints, as numbered migrations, and who may see which rows.

Locking: whoever adds to a thread holds its advisory lock shared, for the one statement; whoever
removes chunks from it holds it exclusively, for one bounded batch. So a chunk that a writer counts
on cannot vanish in between.
"""

from typing import LiteralString

from memory.checkpoints.functions import MAINTENANCE_FUNCTIONS, STEP_FUNCTION, THREAD_FUNCTIONS
from memory.database.schema import Component

# Two heads to a page, before a head moves out to TOAST: reading one is then a single page.
WIDEST_ROW_BYTES = 4080

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
    "checkpoints",
    (THREADS, THREAD_FUNCTIONS, MAINTENANCE_FUNCTIONS, THREAD_POLICIES, STEP_FUNCTION),
    partitioned=("memory_checkpoints", "memory_chunks", "memory_writes"),
    toast_targets=(("memory_checkpoints", WIDEST_ROW_BYTES),),
)
