create table employer (
    id serial primary key,
    name text not null,
    sector text not null,
    town text not null,
    headcount integer not null
);
create table programme (
    id serial primary key,
    title text not null,
    level integer not null,
    duration_months integer not null,
    funding numeric(8, 2) not null
);
create table unit (
    id serial primary key,
    title text not null,
    credits integer not null
);
create table programme_unit (
    programme_id integer not null references programme (id),
    unit_id integer not null references unit (id),
    mandatory boolean not null,
    primary key (programme_id, unit_id)
);
create table staff (
    id serial primary key,
    name text not null,
    job_title text not null,
    manager_id integer references staff (id),
    joined_on date not null,
    salary numeric(9, 2) not null
);
create table apprentice (
    id serial primary key,
    given_name text not null,
    surname text not null,
    date_of_birth date not null,
    employer_id integer references employer (id),
    programme_id integer not null references programme (id),
    mentor_id integer references staff (id),
    start_date date not null,
    end_date date,
    status text not null,
    weekly_wage numeric(7, 2) not null
);
create table review (
    id serial primary key,
    apprentice_id integer not null references apprentice (id),
    reviewer_id integer not null references staff (id),
    held_on date not null,
    score integer not null,
    remarks text
);
create table unit_result (
    apprentice_id integer not null references apprentice (id),
    unit_id integer not null references unit (id),
    grade text not null,
    awarded_on date not null,
    primary key (apprentice_id, unit_id)
);
