create table department (
    department_id integer primary key,
    name text not null,
    floor integer
);
create table doctor (
    doctor_id integer primary key,
    first_name text not null,
    last_name text not null,
    specialty text not null,
    department_id integer references department,
    supervisor_id integer references doctor,
    hired_on date not null,
    is_on_call boolean not null
);
create table patient (
    patient_id integer primary key,
    first_name text not null,
    last_name text not null,
    date_of_birth date not null,
    sex char(1) not null,
    city text,
    phone text,
    insurer text,
    registered_on date not null
);
create table appointment (
    appointment_id integer primary key,
    patient_id integer not null references patient,
    doctor_id integer not null references doctor (doctor_id),
    referred_by integer references doctor (doctor_id),
    scheduled_at timestamp not null,
    duration_min integer,
    status varchar(3) not null,
    fee numeric(8,2),
    reason text
);
create table medication (
    medication_id integer primary key,
    name text not null,
    form text not null,
    unit_price numeric(6,2) not null
);
create table prescription (
    prescription_id integer primary key,
    appointment_id integer not null references appointment,
    medication_id integer not null references medication,
    dose_mg integer,
    days integer not null,
    refills integer not null,
    issued_on date not null
);
create table allergy (
    patient_id integer references patient,
    medication_id integer references medication,
    severity text,
    primary key (patient_id, medication_id)
);
