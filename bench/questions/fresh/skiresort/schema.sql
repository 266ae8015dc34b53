create table zones (
    id integer primary key,
    name text not null,
    base_altitude_m integer not null
);
create table lifts (
    id integer primary key,
    name text not null,
    zone_id integer not null references zones (id),
    lift_type text not null,
    capacity_per_hour integer not null,
    opened_year integer not null,
    status text not null
);
create table slopes (
    id integer primary key,
    name text not null,
    zone_id integer not null references zones (id),
    difficulty text not null,
    length_m integer not null,
    groomed boolean not null
);
create table guests (
    id integer primary key,
    first_name text not null,
    last_name text not null,
    country text not null,
    birth_date date not null,
    email text
);
create table passes (
    id integer primary key,
    guest_id integer not null references guests (id),
    pass_type text not null,
    price numeric(8, 2) not null,
    valid_from date not null,
    valid_until date not null
);
create table lift_rides (
    id integer primary key,
    pass_id integer not null references passes (id),
    lift_id integer not null references lifts (id),
    scanned_at timestamp not null
);
create table instructors (
    id integer primary key,
    full_name text not null,
    hired_on date not null,
    hourly_rate numeric(6, 2) not null
);
create table lessons (
    id integer primary key,
    instructor_id integer not null references instructors (id),
    starts_at timestamp not null,
    duration_hours numeric(3, 1) not null,
    skill_level text not null,
    price numeric(8, 2) not null
);
create table lesson_bookings (
    lesson_id integer not null references lessons (id),
    guest_id integer not null references guests (id),
    paid boolean not null,
    rating integer,
    primary key (lesson_id, guest_id)
);
