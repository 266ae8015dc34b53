create table category (category_id int primary key, name text not null, parent_id int references category);
create table part (part_id int primary key, part_no text not null unique, name text not null, category_id int references category, weight_g numeric(8,1), color text, unit_cost numeric(8,2), replaced_by int references part);
create table component (assembly_id int not null references part, part_id int not null references part, quantity int not null, primary key (assembly_id, part_id));
create table supplier (supplier_id int primary key, name text not null, city text, country text, rating int);
create table offer (supplier_id int references supplier, part_id int references part, price numeric(8,2), lead_days int, primary key (supplier_id, part_id));
create table warehouse (warehouse_id int primary key, name text not null, city text, capacity int);
create table stock (warehouse_id int references warehouse, part_id int references part, on_hand int, primary key (warehouse_id, part_id));
create table transfer (transfer_id int primary key, from_warehouse_id int not null references warehouse, to_warehouse_id int not null references warehouse, part_id int not null references part, quantity int, moved_on date);
