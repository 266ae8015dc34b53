create table island (island_id int primary key, name text not null, region text not null, inhabitants int);
create table vessel (vessel_id int primary key, name text not null, built_on date, capacity int, kind char(1), retired boolean not null default false);
create table sailing (sailing_id int primary key, vessel_id int not null references vessel,
  from_island_id int not null references island, to_island_id int not null references island,
  departs_at timestamp not null, arrived_at timestamp, status text not null);
create table ticket (ticket_id int primary key, sailing_id int not null references sailing,
  sold_on date not null, passenger text not null, fare_class text not null,
  price numeric(8,2) not null, bags int not null, refunded boolean not null default false);
create table audit_trail (entry_id int primary key, ticket_id int, note text);
