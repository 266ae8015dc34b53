create table dnr (
    dnr_id integer primary key,
    fname varchar(40) not null,
    lname varchar(40) not null,
    bld_grp varchar(3) not null,
    dob date not null,
    sex char(1) not null,
    tel varchar(20)
);
create table site (
    site_cd varchar(4) primary key,
    site_nm varchar(60) not null,
    city varchar(40) not null,
    mobile_flg boolean not null
);
create table dntn (
    dntn_id integer primary key,
    dnr_id integer not null references dnr (dnr_id),
    site_cd varchar(4) not null references site (site_cd),
    dntn_dt date not null,
    vol_ml integer not null,
    hb_lvl numeric(4, 1) not null
);
create table bld_unit (
    unit_id integer primary key,
    dntn_id integer not null references dntn (dntn_id),
    comp_typ varchar(12) not null,
    exp_dt date not null,
    unit_sts varchar(12) not null
);
create table hosp (
    hosp_id integer primary key,
    hosp_nm varchar(60) not null,
    city varchar(40) not null,
    bed_cnt integer not null
);
create table req (
    req_id integer primary key,
    hosp_id integer not null references hosp (hosp_id),
    req_dt date not null,
    comp_typ varchar(12) not null,
    bld_grp varchar(3) not null,
    qty integer not null,
    urg varchar(10) not null
);
create table iss (
    iss_id integer primary key,
    req_id integer not null references req (req_id),
    unit_id integer not null unique references bld_unit (unit_id),
    iss_dt date not null,
    fee_amt numeric(8, 2) not null
);
