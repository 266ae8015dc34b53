create table patient (patient_id int primary key, full_name text not null, sex char(1) not null, born date not null, town text not null, insured boolean not null);
create table dentist (dentist_id int primary key, name text not null, speciality text not null, salary numeric(9,2) not null, bonus numeric(9,2) not null, hired date not null);
create table visit (visit_id int primary key, patient_id int not null references patient, dentist_id int not null references dentist, held_on date not null, minutes int not null, outcome text not null);
create table treatment (treatment_id int primary key, visit_id int not null references visit, procedure text not null, fee numeric(8,2) not null, insurance_paid numeric(8,2) not null);
