CREATE TABLE whse (
  whse_id integer PRIMARY KEY,
  whse_cd varchar(4) NOT NULL UNIQUE,
  whse_nm varchar(40) NOT NULL,
  city varchar(30) NOT NULL,
  rgn varchar(20) NOT NULL,
  cap_plt integer NOT NULL,
  open_dt date,
  actv_flg char(1) NOT NULL CHECK (actv_flg IN ('Y', 'N'))
);
CREATE TABLE carr (
  carr_id integer PRIMARY KEY,
  carr_nm varchar(40) NOT NULL,
  mode_cd char(1) NOT NULL,
  rtng numeric(2,1),
  contr_end_dt date
);
CREATE TABLE cust (
  cust_id integer PRIMARY KEY,
  cust_nm varchar(40) NOT NULL,
  city varchar(30),
  seg_cd varchar(3) NOT NULL,
  cr_lim numeric(10,2)
);
CREATE TABLE rte (
  rte_id integer PRIMARY KEY,
  rte_cd varchar(9) NOT NULL,
  orig_whse_id integer NOT NULL REFERENCES whse (whse_id),
  dest_whse_id integer NOT NULL REFERENCES whse (whse_id),
  dist_km integer NOT NULL,
  std_hrs numeric(4,1) NOT NULL
);
CREATE TABLE shpmt (
  shpmt_id integer PRIMARY KEY,
  shpmt_no varchar(10) NOT NULL UNIQUE,
  rte_id integer NOT NULL REFERENCES rte (rte_id),
  carr_id integer NOT NULL REFERENCES carr (carr_id),
  cust_id integer NOT NULL REFERENCES cust (cust_id),
  ship_dt date NOT NULL,
  eta_dt date NOT NULL,
  dlv_dt date,
  stat_cd char(2) NOT NULL,
  wt_kg numeric(8,1) NOT NULL,
  frt_amt numeric(10,2) NOT NULL,
  ins_flg char(1) NOT NULL
);
CREATE TABLE shpmt_evt (
  shpmt_id integer NOT NULL REFERENCES shpmt (shpmt_id),
  seq_no integer NOT NULL,
  evt_ts timestamp NOT NULL,
  evt_typ char(2) NOT NULL,
  whse_id integer REFERENCES whse (whse_id),
  PRIMARY KEY (shpmt_id, seq_no)
);
CREATE TABLE drvr (
  drvr_id integer PRIMARY KEY,
  drvr_nm varchar(40) NOT NULL,
  carr_id integer NOT NULL REFERENCES carr (carr_id),
  hire_dt date NOT NULL,
  lic_cls varchar(2) NOT NULL,
  mentor_id integer REFERENCES drvr (drvr_id)
);
