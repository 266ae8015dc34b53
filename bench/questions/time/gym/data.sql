-- Days are counted back from today, so that "last month" always finds rows.
INSERT INTO trainers VALUES (1, 'Ines Duarte', '2012-03-14'), (2, 'Kofi Boateng', '2017-09-02'), (3, 'Petra Lang', '2020-11-30'), (4, 'Sven Holm', '2015-06-21');
INSERT INTO members
SELECT i,
  (ARRAY['Aline','Boris','Carla','Deniz','Elif','Fabio','Gwen','Hugo','Ilse','Jonas'])[1 + i % 10] || ' ' ||
  (ARRAY['Amsel','Bluhm','Conti','Dietz','Egger','Frost','Gruen'])[1 + (i * 3) % 7],
  current_date - (6700 + (i * 1571) % 17000),
  (ARRAY['basic','plus','student'])[1 + (i * 2) % 3],
  (current_date - (i * 67 - 67) % 1300)::timestamptz + make_interval(mins => (i * 43) % 700),
  CASE WHEN i % 4 = 0 THEN (current_date - (i * 67 - 67) % 1300)::timestamptz + make_interval(mins => 700) + make_interval(days => ((i * 67 - 67) % 1300) / 2 + 1) END
FROM generate_series(1, 70) i;
INSERT INTO classes VALUES
  (1, 'Sunrise yoga', 1, '06:30', 60), (2, 'Spinning', 2, '18:00', 45), (3, 'Boxing', 4, '19:30', 75),
  (4, 'Pilates', 1, '10:15', 50), (5, 'Aqua fit', 3, '12:30', 40), (6, 'Late stretch', 3, '20:45', 30), (7, 'Core', 2, '07:45', 30);
INSERT INTO visits
SELECT i, 1 + (i * 11) % 61, entered,
  CASE WHEN i % 37 <> 0 THEN entered + make_interval(mins => 15 + (i * 29) % 150) END
FROM (SELECT i, (current_date - 1 - (i * 17) % 420)::timestamptz + make_interval(mins => 360 + (i * 47) % 930) AS entered
      FROM generate_series(1, 640) i) v;
INSERT INTO payments
SELECT i, 1 + (i * 13) % 67, current_date - (i * 19) % 470, (1500 + (i * 1237) % 5200) / 100.0
FROM generate_series(1, 480) i;
