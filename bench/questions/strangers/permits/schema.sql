create table aplcnt (
    aplcnt_no integer primary key,
    aplcnt_nm varchar(60) not null,
    aplcnt_typ char(1) not null,
    phn varchar(20),
    cty varchar(40) not null
);
create table prcl (
    prcl_no varchar(10) primary key,
    st_addr varchar(60) not null,
    ward_no smallint not null,
    zn_cd varchar(3) not null,
    lot_sqft integer not null
);
create table insptr (
    insptr_id integer primary key,
    insptr_nm varchar(60) not null,
    cert_dt date not null,
    actv_yn char(1) not null
);
create table prmt (
    prmt_no integer primary key,
    aplcnt_no integer not null references aplcnt (aplcnt_no),
    prcl_no varchar(10) not null references prcl (prcl_no),
    prmt_typ char(1) not null,
    sts_cd char(1) not null,
    appl_dt date not null,
    iss_dt date,
    exp_dt date,
    est_val numeric(12, 2) not null
);
create table insp (
    insp_no integer primary key,
    prmt_no integer not null references prmt (prmt_no),
    insptr_id integer not null references insptr (insptr_id),
    insp_dt date not null,
    insp_typ varchar(10) not null,
    rslt_cd char(1) not null
);
create table fee (
    fee_no integer primary key,
    prmt_no integer not null references prmt (prmt_no),
    fee_typ varchar(10) not null,
    fee_amt numeric(9, 2) not null,
    bill_dt date not null,
    pd_dt date
);
create table viol (
    viol_no integer primary key,
    prcl_no varchar(10) not null references prcl (prcl_no),
    rptd_dt date not null,
    viol_typ varchar(10) not null,
    fine_amt numeric(9, 2) not null,
    clsd_dt date
);
comment on table aplcnt is 'Applicants: people and firms that apply for a permit';
comment on column aplcnt.aplcnt_nm is 'Name of the applicant';
comment on column aplcnt.aplcnt_typ is 'Kind of applicant: O = owner, C = contractor, A = architect';
comment on column aplcnt.phn is 'Telephone number';
comment on column aplcnt.cty is 'City';
comment on table prcl is 'Parcels of land (properties)';
comment on column prcl.st_addr is 'Street address';
comment on column prcl.ward_no is 'Number of the ward';
comment on column prcl.zn_cd is 'Zoning: R1 = single family, R2 = multi family, C = commercial, M = industrial';
comment on column prcl.lot_sqft is 'Lot size in square feet';
comment on table insptr is 'Inspectors';
comment on column insptr.insptr_nm is 'Name of the inspector';
comment on column insptr.cert_dt is 'Date of certification';
comment on column insptr.actv_yn is 'Y = still on duty, N = no longer';
comment on table prmt is 'Permits, from the application on';
comment on column prmt.prmt_typ is 'Type of permit: B = building, E = electrical, P = plumbing, D = demolition, S = sign';
comment on column prmt.sts_cd is 'Status: R = in review, I = issued, F = finalled, D = denied, W = withdrawn';
comment on column prmt.appl_dt is 'Date of application';
comment on column prmt.iss_dt is 'Date of issue, empty if not issued';
comment on column prmt.exp_dt is 'Date of expiry';
comment on column prmt.est_val is 'Estimated construction value in dollars';
comment on table insp is 'Inspections of permitted work';
comment on column insp.insp_dt is 'Date of the inspection';
comment on column insp.insp_typ is 'Type of inspection: footing, framing, rough-in, final';
comment on column insp.rslt_cd is 'Result: P = passed, F = failed, N = no access';
comment on table fee is 'Fees billed for permits';
comment on column fee.fee_typ is 'Type of fee: plan, permit, reinsp (reinspection)';
comment on column fee.fee_amt is 'Amount of the fee in dollars';
comment on column fee.bill_dt is 'Date billed';
comment on column fee.pd_dt is 'Date paid, empty while unpaid';
comment on table viol is 'Code violations reported on a parcel';
comment on column viol.rptd_dt is 'Date reported';
comment on column viol.viol_typ is 'Type of violation: noperm (work without a permit), weeds, unsafe (unsafe structure), junk';
comment on column viol.fine_amt is 'Fine in dollars';
comment on column viol.clsd_dt is 'Date closed, empty while open';
