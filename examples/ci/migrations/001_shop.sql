create table customer (id int generated always as identity primary key, name text not null);
create table orders (
  id int generated always as identity primary key,
  customer_id int not null references customer,
  total numeric(10, 2) not null check (total >= 0)
);
insert into customer (name) values ('Ada'), ('Bob');
