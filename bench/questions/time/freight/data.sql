-- Days are counted back from today, so that "last month" always finds rows.
INSERT INTO depots VALUES (1, 'Leeds', 1987), (2, 'Cardiff', 1994), (3, 'Exeter', 1999), (4, 'Dundee', 2008), (5, 'Derby', 2016);
INSERT INTO drivers
SELECT i,
  (ARRAY['Ada','Bram','Cleo','Dov','Edie','Finn','Greta','Hal'])[1 + i % 8] || ' ' ||
  (ARRAY['Marsh','Oakley','Pratt','Quill','Rowe'])[1 + (i * 3) % 5],
  current_date - (8000 + (i * 1373) % 15000),
  current_date - (40 + (i * 431) % 4200),
  1 + (i * 7) % 5
FROM generate_series(1, 24) i;
INSERT INTO consignments
SELECT i,
  (ARRAY['Hartley Mills','Novum Glass','Petrel Foods','Quarry Road Tiles','Sable Paints','Tern Tools','Umber Books'])[1 + (i * 5) % 7],
  1 + (i * 11) % 5,
  ordered, ordered + 9,
  CASE WHEN i % 13 <> 0 AND ordered + 1 + (i * 7) % 12 <= current_date THEN ordered + 1 + (i * 7) % 12 END,
  CASE WHEN i % 13 <> 0 AND i % 17 <> 0 AND ordered + 2 + (i * 7) % 12 + i % 5 <= current_date - 1
       THEN (ordered + 2 + (i * 7) % 12 + i % 5)::timestamp + make_interval(mins => (7 * 60 + (i * 97) % 780)) END,
  (20 + (i * 379) % 9000) / 10.0,
  (900 + (i * 6131) % 88000) / 100.0
FROM (SELECT i, current_date - ((i * 53) % 907) AS ordered FROM generate_series(1, 900) i) o;
INSERT INTO trips
SELECT i, 1 + (i * 5) % 24, departed,
  CASE WHEN i % 29 <> 0 THEN departed + make_interval(mins => 35 + (i * 113) % 700) END,
  20 + (i * 61) % 560
FROM (SELECT i, (current_date - 1 - ((i * 31) % 500))::timestamp + make_interval(mins => (i * 271) % 1440) AS departed
      FROM generate_series(1, 420) i) t;
