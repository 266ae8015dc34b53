COMMENT ON TABLE shpmt IS 'One consignment moved for a customer';
COMMENT ON TABLE shpmt_evt IS 'Scan events of a shipment, in order';
COMMENT ON COLUMN carr.mode_cd IS 'Transport mode: R road, S sea, A air, T rail';
COMMENT ON COLUMN shpmt.stat_cd IS 'Status: DL delivered, IT in transit, CX cancelled, HD on hold';
COMMENT ON COLUMN shpmt.frt_amt IS 'Freight charge in pounds';
COMMENT ON COLUMN shpmt.ins_flg IS 'Y when the shipment is insured';
COMMENT ON COLUMN shpmt_evt.evt_typ IS 'PU picked up, HB at hub, DR dropped, EX exception';
COMMENT ON COLUMN cust.seg_cd IS 'Segment: RTL retail, MFG manufacturing, MED medical';
COMMENT ON COLUMN whse.cap_plt IS 'Capacity in pallets';
