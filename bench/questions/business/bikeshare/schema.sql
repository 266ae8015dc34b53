create table station (station_id int primary key, name text not null, district text, docks int, opened date);
create table bike (bike_id int primary key, model text, electric char(1) not null, purchased date, price numeric(8,2));
create table rider (rider_id int primary key, full_name text not null, email text, born date, membership char(1), referred_by int references rider);
create table trip (trip_id int primary key, rider_id int not null references rider, bike_id int not null references bike,
  start_station_id int not null references station, end_station_id int not null references station,
  started_at timestamp not null, ended_at timestamp not null, distance_km numeric(6,2), rating int);
create table repair (repair_id int primary key, bike_id int not null references bike, opened_on date not null, closed_on date, cost numeric(8,2), technician text);
