create table vessel (vessel_id int primary key, name text not null, flag text, kind text, length_m numeric(6,1), gross_tonnage int, built_year int);
create table berth (berth_id int primary key, code text not null unique, terminal text, depth_m numeric(4,1));
create table port_call (call_id int primary key, vessel_id int not null references vessel, berth_id int not null references berth,
  expected_at timestamp, arrived_at timestamp, departed_at timestamp, agent text);
create table container (container_no text primary key, size_ft int, kind text, owner text);
create table cargo_move (move_id int primary key, call_id int not null references port_call, container_no text not null references container,
  direction text not null, moved_at timestamp, weight_kg int, hazardous boolean not null);
create table tug (tug_id int primary key, name text not null, bollard_pull int);
create table tug_job (call_id int references port_call, tug_id int references tug, minutes int, primary key (call_id, tug_id));
