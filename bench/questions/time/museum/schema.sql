CREATE TABLE artists (
  artist_id integer PRIMARY KEY,
  name text NOT NULL,
  birth_year integer NOT NULL,
  death_year integer
);
CREATE TABLE artworks (
  artwork_id integer PRIMARY KEY,
  title text NOT NULL,
  artist_id integer NOT NULL REFERENCES artists(artist_id),
  year_made integer NOT NULL,
  acquired text NOT NULL,
  price numeric(12,2)
);
CREATE TABLE exhibitions (
  exhibition_id integer PRIMARY KEY,
  title text NOT NULL,
  opens text NOT NULL,
  closes text NOT NULL,
  visitors integer NOT NULL
);
CREATE TABLE loans (
  loan_id integer PRIMARY KEY,
  artwork_id integer NOT NULL REFERENCES artworks(artwork_id),
  borrower text NOT NULL,
  lent_on text NOT NULL,
  returned_on text
);
