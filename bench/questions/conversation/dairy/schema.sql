create table farm (farm_id int primary key, title text not null, county text not null, organic boolean not null, joined_on date);
create table cow (tag text primary key, farm_id int not null references farm, breed text not null, born_on date not null, weight_kg int);
create table milking (milking_id int primary key, tag text not null references cow, milked_at timestamp not null, litres numeric(6,2) not null, fat_pct numeric(4,2) not null, grade int);
create table customer (customer_no int primary key, company text not null, town text not null, segment text);
create table delivery (delivery_no int primary key, customer_no int not null references customer, farm_id int not null references farm,
  ordered_on date not null, shipped_on date, qty int not null, unit_price numeric(6,2) not null, discount numeric(4,2) not null default 0, state char(1) not null);
