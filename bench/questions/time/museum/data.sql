-- Days and years are kept as texts and whole numbers, as many old files do.
INSERT INTO artists VALUES
  (1, 'Agnes Thorn', 1871, 1934), (2, 'Bela Korda', 1902, 1978), (3, 'Clemence Vay', 1925, 2001), (4, 'Dario Pell', 1948, NULL),
  (5, 'Edda Ruus', 1955, NULL), (6, 'Farid Osman', 1890, 1965), (7, 'Gilda Sorrel', 1937, 2011), (8, 'Henning Bock', 1968, NULL),
  (9, 'Iris Calder', 1911, 1999), (10, 'Jakob Lund', 1979, NULL);
INSERT INTO artworks
SELECT i,
  (ARRAY['Quiet','Blue','Broken','Winter','Golden','Second','Lost','Open'])[1 + i % 8] || ' ' ||
  (ARRAY['Harbour','Table','Garden','Portrait','Field'])[1 + (i * 7) % 5] || ' ' || i,
  a.artist_id,
  a.birth_year + 22 + (i * 5) % 38,
  ('1996-01-15'::date + (i * 211) % 10300)::text,
  CASE WHEN i % 9 <> 0 THEN 800 + (i * 7919) % 95000 END
FROM generate_series(1, 130) i JOIN artists a ON a.artist_id = 1 + (i * 3) % 10;
INSERT INTO exhibitions
SELECT i,
  (ARRAY['Northern','Modern','Early','Hidden','New','Last'])[1 + i % 6] || ' ' || (ARRAY['Light','Lines','Rooms','Faces'])[1 + (i * 3) % 4] || ' ' || i,
  ('2015-02-10'::date + i * 89)::text,
  ('2015-02-10'::date + i * 89 + 30 + (i * 37) % 110)::text,
  1500 + (i * 3571) % 42000
FROM generate_series(1, 36) i;
INSERT INTO loans
SELECT i, 1 + (i * 17) % 130,
  (ARRAY['City Gallery','Orangery','Palais Noir','Tower House','Villa Rost'])[1 + (i * 2) % 5],
  ('2014-03-01'::date + (i * 97) % 3800)::text,
  CASE WHEN i % 11 <> 0 THEN ('2014-03-01'::date + (i * 97) % 3800 + 20 + (i * 41) % 400)::text END
FROM generate_series(1, 150) i;
