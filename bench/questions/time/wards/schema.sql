CREATE TABLE wards (
  ward_no integer PRIMARY KEY,
  ward_name text NOT NULL,
  beds integer NOT NULL
);
CREATE TABLE patients (
  patient_no integer PRIMARY KEY,
  first_name text NOT NULL,
  last_name text NOT NULL,
  date_of_birth date NOT NULL
);
CREATE TABLE admissions (
  admission_no integer PRIMARY KEY,
  patient_no integer NOT NULL REFERENCES patients(patient_no),
  ward_no integer NOT NULL REFERENCES wards(ward_no),
  admitted_at timestamp NOT NULL,
  discharged_at timestamp,
  reason text NOT NULL
);
CREATE TABLE operations (
  operation_no integer PRIMARY KEY,
  admission_no integer NOT NULL REFERENCES admissions(admission_no),
  surgeon text NOT NULL,
  theatre integer NOT NULL,
  start_time timestamptz NOT NULL,
  end_time timestamptz NOT NULL
);
