create type priority_level as enum ('routine', 'rush', 'emergency');
create type test_status as enum ('queued', 'running', 'done', 'rejected');
create table clients (
    id integer primary key,
    name text not null,
    sector text not null,
    city text not null,
    contact_email text
);
create table staff (
    id integer primary key,
    first_name text not null,
    last_name text not null,
    job_title text not null,
    hired_on date not null
);
create table storage_units (
    id integer primary key,
    label text not null,
    kind text not null,
    temperature_c numeric(5, 1) not null,
    capacity integer not null
);
create table instruments (
    id integer primary key,
    name text not null,
    manufacturer text not null,
    last_calibrated_on date not null,
    in_service boolean not null
);
create table tests (
    code text primary key,
    name text not null,
    unit text not null,
    price numeric(7, 2) not null,
    turnaround_days integer not null,
    max_allowed numeric(10, 3)
);
create table samples (
    id integer primary key,
    barcode text not null unique,
    client_id integer not null references clients (id),
    material text not null,
    priority priority_level not null,
    collected_by integer references staff (id),
    received_by integer not null references staff (id),
    collected_at timestamp not null,
    received_at timestamp not null,
    storage_unit_id integer references storage_units (id)
);
create table sample_tests (
    sample_id integer not null references samples (id),
    test_code text not null references tests (code),
    status test_status not null,
    analyst_id integer references staff (id),
    instrument_id integer references instruments (id),
    result_value numeric(10, 3),
    completed_at timestamp,
    primary key (sample_id, test_code)
);
create view open_tests as
select st.sample_id, s.barcode, s.client_id, st.test_code, st.status, s.priority,
       (s.received_at::date + t.turnaround_days) as due_on
from sample_tests st
join samples s on s.id = st.sample_id
join tests t on t.code = st.test_code
where st.status in ('queued', 'running');
comment on view open_tests is 'Tests not yet finished, with the date by which the result is due';
comment on column samples.collected_by is 'Member of staff who took the sample, empty when the client took it';
comment on column tests.max_allowed is 'Legal limit, empty where there is none';
