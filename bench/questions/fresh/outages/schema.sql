create table noc_region (
    region_code char(2) primary key,
    region_name text not null,
    population integer not null
);
create table noc_node (
    node_id integer primary key,
    node_name text not null,
    node_kind text not null,
    region_code char(2) not null,
    installed_on date not null,
    subscriber_count integer not null
);
create table noc_outage (
    outage_id integer primary key,
    node_id integer not null,
    started_at timestamp not null,
    ended_at timestamp,
    severity text not null,
    cause text not null,
    customers_affected integer not null
);
create table noc_engineer (
    engineer_id integer primary key,
    engineer_name text not null,
    team text not null,
    region_code char(2) not null,
    day_rate numeric(7, 2) not null
);
create table noc_dispatch (
    dispatch_id integer primary key,
    outage_id integer not null,
    engineer_id integer not null,
    sent_at timestamp not null,
    arrived_at timestamp
);
create table noc_call (
    call_id integer primary key,
    outage_id integer,
    caller_phone text not null,
    received_at timestamp not null,
    wait_seconds integer not null,
    outcome text not null
);
create table noc_credit (
    credit_id integer primary key,
    outage_id integer not null,
    account_no text not null,
    amount numeric(7, 2) not null,
    granted_on date not null
);
