insert into departments values (1, 'Sales', 90000), (2, 'Research', 150000), (3, 'Support', 40000), (4, 'Legal', 30000);
insert into employees select i, (array['Ana','Ben','Cem','Dora','Eva','Fritz','Gina'])[1 + i % 7] || ' ' || chr(64 + i), (array['Berlin','Paris','Madrid'])[1 + i % 3], 2500 + i * 173, date '2016-03-01' + i * 97, 1 + i % 4 from generate_series(1, 26) i;
insert into projects select i, 'P' || i, 1 + i % 3, date '2020-06-01' + i * 60, 6000 + i * 1900 from generate_series(1, 18) i;
