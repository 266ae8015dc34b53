create table clientes (id int primary key, nombre text not null, ciudad text, "año_nacimiento" int);
create table productos (id int primary key, nombre text not null, "categoría" text, precio numeric(8, 2));
create table pedidos (id int primary key, cliente_id int references clientes, producto_id int references productos, cantidad int, fecha_pedido date);
create table ciudades (id int primary key, nombre text not null, "población" int);
