create table airport (code text primary key, name text not null, city text not null, country text not null, elevation_m int);
create table carrier (carrier_id int primary key, name text not null, country text, founded int);
create table aircraft (tail_no text primary key, model text not null, seats int, carrier_id int not null references carrier);
create table flight (flight_id int primary key, flight_no text not null, carrier_id int not null references carrier, tail_no text references aircraft,
  origin text not null references airport, destination text not null references airport, departs_at timestamp not null, distance_km int, status text);
create table passenger (passenger_id int primary key, full_name text not null, nationality text, birth_date date);
create table booking (booking_id int primary key, passenger_id int not null references passenger, flight_id int not null references flight, seat text, cabin text, fare numeric(8,2));
create table pilot (pilot_id int primary key, name text not null, home_airport text references airport, hired_on date);
create table duty (flight_id int not null references flight, pilot_id int not null references pilot, role text not null, primary key (flight_id, pilot_id));
