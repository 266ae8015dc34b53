create table dpt (
    dpt_cd varchar(4) primary key,
    dpt_nm varchar(40) not null,
    rgn_cd char(1) not null,
    bay_qty smallint not null
);
create table mech (
    mech_no integer primary key,
    mech_nm varchar(60) not null,
    dpt_cd varchar(4) not null references dpt (dpt_cd),
    grd_cd char(1) not null,
    hr_rt numeric(6, 2) not null,
    hire_dt date not null,
    term_dt date
);
create table drv (
    drv_no integer primary key,
    drv_nm varchar(60) not null,
    dpt_cd varchar(4) not null references dpt (dpt_cd),
    lic_cls varchar(2) not null,
    lic_exp_dt date not null
);
create table veh (
    veh_no integer primary key,
    reg_no varchar(10) not null unique,
    mk varchar(20) not null,
    mdl varchar(20) not null,
    veh_typ char(1) not null,
    fuel_cd char(1) not null,
    acq_dt date not null,
    acq_cst numeric(10, 2) not null,
    odo_km integer not null,
    hm_dpt_cd varchar(4) not null references dpt (dpt_cd),
    asg_drv_no integer references drv (drv_no),
    sts_cd char(1) not null
);
create table part (
    part_no varchar(8) primary key,
    part_ds varchar(40) not null,
    cat_cd char(2) not null,
    std_cst numeric(8, 2) not null,
    oh_qty integer not null,
    rord_lvl integer not null
);
create table wo (
    wo_no integer primary key,
    veh_no integer not null references veh (veh_no),
    wo_typ char(1) not null,
    pri_cd smallint not null,
    opn_dt date not null,
    cls_dt date,
    lead_mech_no integer not null references mech (mech_no),
    insp_mech_no integer references mech (mech_no),
    dn_hrs numeric(6, 1)
);
create table wo_part (
    wo_no integer not null references wo (wo_no),
    ln_no smallint not null,
    part_no varchar(8) not null references part (part_no),
    qty integer not null,
    unt_prc numeric(8, 2) not null,
    primary key (wo_no, ln_no)
);
create table wo_lbr (
    wo_no integer not null references wo (wo_no),
    mech_no integer not null references mech (mech_no),
    hrs numeric(5, 1) not null,
    primary key (wo_no, mech_no)
);
create table fuel_txn (
    txn_no integer primary key,
    veh_no integer not null references veh (veh_no),
    drv_no integer not null references drv (drv_no),
    txn_dt date not null,
    ltr_qty numeric(6, 1) not null,
    txn_amt numeric(8, 2) not null
);
comment on table dpt is 'Depots';
comment on column dpt.dpt_nm is 'Name of the depot';
comment on column dpt.rgn_cd is 'Region: N = north, S = south, E = east, W = west';
comment on column dpt.bay_qty is 'Number of workshop bays';
comment on table mech is 'Mechanics';
comment on column mech.mech_nm is 'Name of the mechanic';
comment on column mech.grd_cd is 'Grade: A = apprentice, T = technician, M = master';
comment on column mech.hr_rt is 'Hourly rate';
comment on column mech.hire_dt is 'Date hired';
comment on column mech.term_dt is 'Date of leaving, empty while employed';
comment on table drv is 'Drivers';
comment on column drv.drv_nm is 'Name of the driver';
comment on column drv.lic_cls is 'Licence class: B = car and van, C = truck, D = bus';
comment on column drv.lic_exp_dt is 'Date the licence expires';
comment on table veh is 'Vehicles of the fleet';
comment on column veh.reg_no is 'Registration plate';
comment on column veh.mk is 'Make';
comment on column veh.mdl is 'Model';
comment on column veh.veh_typ is 'Vehicle type: V = van, T = truck, B = bus, C = car';
comment on column veh.fuel_cd is 'Fuel: D = diesel, P = petrol, H = hybrid, E = electric';
comment on column veh.acq_dt is 'Date of purchase';
comment on column veh.acq_cst is 'Purchase price';
comment on column veh.odo_km is 'Odometer reading in kilometres';
comment on column veh.hm_dpt_cd is 'Home depot';
comment on column veh.asg_drv_no is 'Driver the vehicle is assigned to, if any';
comment on column veh.sts_cd is 'Status: A = active, R = in repair, S = sold';
comment on table part is 'Spare parts in the store';
comment on column part.part_ds is 'Description of the part';
comment on column part.cat_cd is 'Category: BR = brakes, EN = engine, EL = electrical, TY = tyres, BD = body, FL = filters';
comment on column part.std_cst is 'Standard cost';
comment on column part.oh_qty is 'Quantity on hand';
comment on column part.rord_lvl is 'Reorder level';
comment on table wo is 'Work orders of the workshop';
comment on column wo.wo_typ is 'Type of work: P = preventive, C = corrective, A = accident, R = recall';
comment on column wo.pri_cd is 'Priority: 1 = urgent, 2 = normal, 3 = low';
comment on column wo.opn_dt is 'Date opened';
comment on column wo.cls_dt is 'Date closed, empty while open';
comment on column wo.lead_mech_no is 'Mechanic in charge';
comment on column wo.insp_mech_no is 'Mechanic who inspected the finished work';
comment on column wo.dn_hrs is 'Downtime of the vehicle in hours';
comment on table wo_part is 'Parts used on a work order';
comment on column wo_part.qty is 'Quantity used';
comment on column wo_part.unt_prc is 'Price charged for one';
comment on table wo_lbr is 'Labour booked on a work order';
comment on column wo_lbr.hrs is 'Hours worked';
comment on table fuel_txn is 'Fuel purchases';
comment on column fuel_txn.txn_dt is 'Date of the purchase';
comment on column fuel_txn.ltr_qty is 'Litres';
comment on column fuel_txn.txn_amt is 'Amount paid';
