"""The hot statements on checkpoints, and their upkeep, as functions in the database.

One round trip each, planned once for each server connection without prepared statements of the
client (so they are fast behind PgBouncer too), and each a transaction of its own.

`memory_put` and `memory_put_writes` are for processes that have an earlier version of this package.
"""

from typing import LiteralString

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

STEP_FUNCTION: LiteralString = """
-- What memory_put and memory_put_writes do, for all checkpoints and writes of a super-step at once.
-- If chunks that the client counts on are gone, nothing is done and their addresses are returned.
create function {schema}.memory_step(
    p_tenant text, p_thread text, p_nss text[], p_ids bytea[], p_parents bytea[], p_runs text[],
    p_metadata text[], p_exact boolean[], p_heads bytea[], p_refs bytea[],
    p_addresses bytea[], p_chunks bytea[], p_counted_on bytea,
    p_write_nss text[], p_write_ids bytea[], p_tasks bytea[], p_indexes integer[], p_data bytea[],
    p_ttl interval
) returns bytea
language plpgsql
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
    v_key bigint;
    v_expires timestamptz;
    v_gone bytea;
begin
    perform pg_advisory_xact_lock_shared(
        hashtextextended(p_tenant || E'\\x1f' || p_thread, 4715));
    select thread_key, expires_at into v_key, v_expires from {schema}.memory_threads
    where tenant = p_tenant and thread_id = p_thread and deleted_at is null;
    if not found or v_expires <= now() then
        v_key := {schema}.memory_thread_key(p_tenant, p_thread);
    end if;
    if p_counted_on <> '' then
        select string_agg(substring(p_counted_on, g + 1, 16), '') into v_gone
        from generate_series(0, length(p_counted_on) - 1, 16) g
        where (select true from {schema}.memory_chunks b
               where b.thread_key = v_key and b.address = substring(p_counted_on, g + 1, 16))
              is null;
        if v_gone is not null then
            return v_gone;
        end if;
    end if;
    if p_addresses <> '{{}}' then
        insert into {schema}.memory_chunks (thread_key, address, data)
        select v_key, n.address, n.data from unnest(p_addresses, p_chunks) as n (address, data)
        on conflict do nothing;
    end if;
    if p_ids <> '{{}}' then
        insert into {schema}.memory_checkpoints
            (thread_key, ns, checkpoint_id, parent_id, run_id, metadata, exact, head, refs)
        select v_key, n.ns, n.id, n.parent, n.run, n.metadata::jsonb, n.exact, n.head, n.refs
        from unnest(p_nss, p_ids, p_parents, p_runs, p_metadata, p_exact, p_heads, p_refs)
            as n (ns, id, parent, run, metadata, exact, head, refs)
        on conflict (thread_key, ns, checkpoint_id) do update
        set parent_id = excluded.parent_id, run_id = excluded.run_id,
            metadata = excluded.metadata, exact = excluded.exact, head = excluded.head,
            refs = excluded.refs;
    end if;
    if p_write_ids <> '{{}}' then
        insert into {schema}.memory_writes (thread_key, ns, checkpoint_id, task_id, idx, data)
        select v_key, n.ns, n.id, n.task, n.idx, n.data
        from unnest(p_write_nss, p_write_ids, p_tasks, p_indexes, p_data)
            as n (ns, id, task, idx, data)
        on conflict (thread_key, ns, checkpoint_id, task_id, idx)
        do update set data = excluded.data where excluded.idx < 0;
    end if;
    if p_ttl is not null then
        perform {schema}.memory_renew(v_key, p_ttl);
    end if;
    return null;
end $$;
"""
