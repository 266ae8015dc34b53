create table owners (
    own_id integer primary key,
    nm text not null,
    email text,
    comm_pct numeric(4,1) not null
);
create table props (
    prop_id integer primary key,
    own_id integer not null,
    addr text not null,
    city text not null,
    prop_type text not null,
    beds integer not null,
    sqft integer,
    furn_yn char(1) not null,
    list_dt date not null
);
create table tenants (
    tnt_id integer primary key,
    fname text not null,
    lname text not null,
    tel text,
    occup text,
    guarantor_id integer
);
create table leases (
    lease_id integer primary key,
    prop_id integer not null,
    tnt_id integer not null,
    start_dt date not null,
    end_dt date not null,
    mth_rent numeric(8,2) not null,
    dep_amt numeric(8,2),
    stat_cd char(1) not null
);
create table lease_occupants (
    lease_id integer,
    tnt_id integer,
    move_in_dt date,
    primary key (lease_id, tnt_id)
);
create table pmts (
    pmt_id integer primary key,
    lease_id integer not null,
    due_dt date not null,
    paid_dt date,
    amt numeric(8,2) not null,
    pmt_meth text
);
create table vendors (
    vnd_id integer primary key,
    nm text not null,
    trade text not null,
    hr_rate numeric(6,2)
);
create table maint_reqs (
    req_id integer primary key,
    prop_id integer not null,
    tnt_id integer,
    vnd_id integer,
    opened_dt date not null,
    closed_dt date,
    categ text not null,
    prio integer not null,
    cost numeric(8,2),
    descr text
);
