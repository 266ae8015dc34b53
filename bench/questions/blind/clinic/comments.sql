comment on column appointment.status is 'BKD booked, CMP completed, CAN cancelled, NSH no-show';
comment on column appointment.referred_by is 'the doctor who referred the patient, if any';
comment on column patient.sex is 'F or M';
comment on column allergy.severity is 'mild, moderate or severe';
