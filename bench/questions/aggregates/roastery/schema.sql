create table product (product_id int primary key, name text not null, category text not null, price numeric(8,2) not null, cost numeric(8,2) not null, stock int not null, reorder_level int not null);
create table customer (customer_id int primary key, name text not null, country text not null, city text not null, joined date not null);
create table sales_order (order_id int primary key, customer_id int not null references customer, ordered_on date not null, status text not null, is_paid boolean not null, shipping_fee numeric(6,2) not null);
create table order_line (order_id int not null references sales_order, line_no int not null, product_id int not null references product, quantity int not null, unit_price numeric(8,2) not null, primary key (order_id, line_no));
