CREATE TABLE patient (
  patient_id integer PRIMARY KEY,
  first_name text NOT NULL,
  last_name text NOT NULL,
  gender char(1),
  birth_date date,
  city text,
  phone text,
  blood_type text,
  insurance_provider text
);
CREATE TABLE doctor (
  doctor_id integer PRIMARY KEY,
  full_name text NOT NULL,
  specialty text NOT NULL,
  hired_on date,
  consultation_fee numeric(8,2),
  room_no integer
);
CREATE TABLE appointment (
  appointment_id integer PRIMARY KEY,
  patient_id integer NOT NULL REFERENCES patient(patient_id),
  doctor_id integer NOT NULL REFERENCES doctor(doctor_id),
  scheduled_at timestamp NOT NULL,
  duration_minutes integer,
  status text NOT NULL,
  reason text
);
CREATE TABLE prescription (
  prescription_id integer PRIMARY KEY,
  appointment_id integer NOT NULL REFERENCES appointment(appointment_id),
  medication text NOT NULL,
  dosage_mg integer,
  duration_days integer,
  is_refillable boolean NOT NULL DEFAULT false
);
