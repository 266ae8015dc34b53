INSERT INTO wards VALUES (1, 'Cardiology', 24), (2, 'Orthopaedics', 30), (3, 'Paediatrics', 18), (4, 'Neurology', 16);
INSERT INTO patients
SELECT i,
  (ARRAY['Amir','Beth','Colm','Dina','Ezra','Faye','Glen','Hope','Ivan'])[1 + i % 9],
  (ARRAY['Abbot','Birch','Croft','Dunn','Ellis','Ferris','Grange'])[1 + (i * 5) % 7],
  '1938-05-20'::date + (i * 1319) % 29800
FROM generate_series(1, 60) i;
INSERT INTO admissions
SELECT i, 1 + (i * 7) % 60, 1 + (i * 3) % 4, admitted,
  CASE WHEN i % 19 <> 0 THEN admitted + make_interval(hours => 5 + (i * 83) % 600) END,
  (ARRAY['fracture','chest pain','observation','infection','headache'])[1 + (i * 2) % 5]
FROM (SELECT i, '2019-02-09'::timestamp + make_interval(days => (i * 37) % 2090, mins => (i * 179) % 1440) AS admitted
      FROM generate_series(1, 500) i) a;
INSERT INTO operations
SELECT i, 1 + (i * 7) % 300, (ARRAY['Dr Okafor','Dr Lindqvist','Dr Moreau','Dr Sato'])[1 + (i * 3) % 4], 1 + i % 3, started,
  started + make_interval(mins => 25 + (i * 67) % 300)
FROM (SELECT i, '2019-02-10 00:00+00'::timestamptz + make_interval(days => (i * 61) % 2080, mins => 420 + (i * 53) % 1000) AS started
      FROM generate_series(1, 160) i) o;
