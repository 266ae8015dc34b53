"""The tables of items, as numbered migrations: rows, functions, and who may see which rows."""

from typing import LiteralString

from memory.database.schema import Component

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

_FIRST: LiteralString = """\
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
"""
"""Of a function that puts items: their namespace is there, and stays.

Migrations that were released keep their text: what changes one of these parts makes a new one.
"""
_THEN: LiteralString = """\
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
"""
_WITHOUT_VECTORS: LiteralString = """\
    -- Of what was there before, also where the caller has no index to embed with.
    if to_regclass($q${schema}.memory_vectors$q$) is not null then
        execute $q$delete from {schema}.memory_vectors where item_key = any ($1)$q$ using v_result;
    end if;
"""
_PUT: LiteralString = (
    _FIRST
    + """               to_tsvector(p_language, n.search)
        from unnest(p_keys, p_values, p_sealed, p_ttls, p_searches)
            as n (key, value, sealed, ttl, search)
"""
    + _THEN
)
"""The body of one, in the language of all texts."""

ITEM_FUNCTIONS: LiteralString = (
    """
-- Store items of one namespace; returns their keys in the order given.
create function {schema}.memory_put_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_language regconfig
) returns bigint[]
language plpgsql set enable_seqscan = off as $$
"""
    + _PUT
    + """    return v_result;
end $$;
"""
)

INDEX_LIFE: LiteralString = (
    """
-- What an index of a kind was made for, so that every process asks for the same.
create table {schema}.memory_index_settings (
    name text primary key,
    version integer not null,
    settings jsonb not null,
    changed_at timestamptz not null default now()
);

create or replace function {schema}.memory_put_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_language regconfig
) returns bigint[]
language plpgsql set enable_seqscan = off as $$
"""
    + _PUT
    + _WITHOUT_VECTORS
    + """    return v_result;
end $$;

-- The same, with the language of each text.
create function {schema}.memory_put_worded_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_languages text[]
) returns bigint[]
language plpgsql set enable_seqscan = off as $$
"""
    + _FIRST
    + """               to_tsvector('simple', n.search)
                   || case when n.language = 'simple' then ''
                      else to_tsvector(n.language::regconfig, n.search) end
        from unnest(p_keys, p_values, p_sealed, p_ttls, p_searches, p_languages)
            as n (key, value, sealed, ttl, search, language)
"""
    + _THEN
    + _WITHOUT_VECTORS
    + """    return v_result;
end $$;
"""
)

ORIGINS: LiteralString = """
-- Which run of a graph put an item: of that time, until somebody else puts it again.
create table {schema}.memory_item_origins (
    item_key bigint primary key references {schema}.memory_items on delete cascade,
    origin jsonb not null,
    noted_at timestamptz not null default clock_timestamp()
);
alter table {schema}.memory_item_origins enable row level security;
create policy memory_tenant on {schema}.memory_item_origins using (exists (
    select from {schema}.memory_items i where i.item_key = memory_item_origins.item_key));

create function {schema}.memory_put_noted_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_languages text[], p_origin jsonb
) returns bigint[]
language plpgsql as $$
declare
    v_result bigint[] := {schema}.memory_put_worded_items(
        p_tenant, p_path, p_keys, p_values, p_sealed, p_ttls, p_searches, p_languages);
begin
    insert into {schema}.memory_item_origins (item_key, origin)
    select key, p_origin from unnest(v_result) as key order by key
    on conflict (item_key) do update
    set origin = excluded.origin, noted_at = clock_timestamp();
    return v_result;
end $$;

-- Whoever was granted the items before may note where they are from.
do $do$
declare
    v_right record;
begin
    for v_right in
        select a.privilege_type, a.grantee from pg_class c, aclexplode(c.relacl) a
        where c.oid = to_regclass($q${schema}.memory_items$q$) and a.grantee <> c.relowner
    loop
        execute 'grant ' || v_right.privilege_type
            || $q$ on {schema}.memory_item_origins to $q$
            || case when v_right.grantee = 0 then 'public' else v_right.grantee::regrole::text end;
    end loop;
end $do$;
"""

WITH_VECTORS: LiteralString = """
-- Items with their vectors by one call. Their type is the caller's: there may be no pgvector here.
-- p_positions: of the item that a vector is of, from 1. p_origin: null if it is not known.
create function {schema}.memory_put_embedded_items(
    p_tenant text, p_path text[], p_keys text[], p_values jsonb[], p_sealed bytea[],
    p_ttls interval[], p_searches text[], p_languages text[], p_origin jsonb,
    p_positions integer[], p_fields text[], p_embeddings anyarray
) returns bigint[]
language plpgsql as $$
declare
    v_result bigint[];
begin
    if p_origin is null then
        v_result := {schema}.memory_put_worded_items(
            p_tenant, p_path, p_keys, p_values, p_sealed, p_ttls, p_searches, p_languages);
    else
        v_result := {schema}.memory_put_noted_items(
            p_tenant, p_path, p_keys, p_values, p_sealed, p_ttls, p_searches, p_languages,
            p_origin);
    end if;
    insert into {schema}.memory_vectors (item_key, field, ns_key, embedding)
    select v_result[v.position], v.field, n.ns_key, v.embedding
    from {schema}.memory_namespaces n,
        unnest(p_positions, p_fields, p_embeddings) as v (position, field, embedding)
    where n.tenant = p_tenant and n.path = p_path
    on conflict (item_key, field) do update set embedding = excluded.embedding;
    return v_result;
end $$;
"""

ITEMS_COMPONENT = Component(
    "items", (ITEMS, ITEM_FUNCTIONS, ITEM_POLICIES, INDEX_LIFE, ORIGINS, WITH_VECTORS)
)
