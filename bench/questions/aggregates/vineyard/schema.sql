create table estate (estate_id int primary key, name text not null, valley text not null, hectares numeric(6,1) not null, workers int not null, organic char(1) not null);
create table wine (wine_id int primary key, label text not null, colour text not null, estate_id int not null references estate, vintage int not null, bottles_made int not null, bottles_left int not null, bottle_price numeric(7,2) not null, production_cost numeric(7,2) not null);
create table buyer (buyer_id int primary key, company text not null, country text not null, kind text not null);
create table sale (sale_id int primary key, wine_id int not null references wine, buyer_id int not null references buyer, sold_on date not null, bottles int not null, bottle_price numeric(7,2) not null, discount numeric(7,2) not null, state text not null);
comment on column estate.organic is 'Y = organic, N = conventional';
