insert into clientes select i, (array['Anna','Bruno','Clara','David','Elena','Felix','Greta','Hugo'])[1 + i % 8] || ' ' || chr(64 + i), (array['Paris','Madrid','Roma','Oslo'])[1 + i % 4], 1950 + i * 2 from generate_series(1, 24) i;
insert into productos select i, 'Modell ' || i, (array['Alimentos','Libros'])[1 + i % 2], i * 9.5 from generate_series(1, 12) i;
insert into pedidos select i, 1 + i * i % 20, 1 + i % 11, 1 + i % 7, date '2021-11-01' + i * 11 from generate_series(1, 90) i;
insert into ciudades values (1, 'Paris', 2100000), (2, 'Madrid', 3300000), (3, 'Roma', 2800000), (4, 'Oslo', 700000), (5, 'Bergen', 290000);
