CREATE TABLE artists (
  artist_id integer PRIMARY KEY,
  artist_name text NOT NULL,
  nationality text,
  birth_year integer,
  death_year integer
);
CREATE TABLE staff (
  staff_id integer PRIMARY KEY,
  staff_name text NOT NULL,
  job text NOT NULL,
  reports_to integer REFERENCES staff (staff_id),
  salary integer NOT NULL
);
CREATE TABLE galleries (
  gallery_id integer PRIMARY KEY,
  gallery_name text NOT NULL,
  floor integer NOT NULL,
  wing text NOT NULL
);
CREATE TABLE objects (
  object_id integer PRIMARY KEY,
  accession_no text NOT NULL UNIQUE,
  title text NOT NULL,
  artist_id integer NOT NULL REFERENCES artists (artist_id),
  medium text NOT NULL,
  year_made integer,
  acquired_on date NOT NULL,
  acquisition_method text NOT NULL,
  gallery_id integer REFERENCES galleries (gallery_id),
  insured_value integer,
  on_display char(1) NOT NULL,
  fragile char(1) NOT NULL
);
CREATE TABLE institutions (
  institution_id integer PRIMARY KEY,
  institution_name text NOT NULL,
  city text NOT NULL,
  country text NOT NULL,
  kind text NOT NULL
);
CREATE TABLE loans (
  loan_id integer PRIMARY KEY,
  object_id integer NOT NULL REFERENCES objects (object_id),
  borrower_id integer NOT NULL REFERENCES institutions (institution_id),
  approved_by integer NOT NULL REFERENCES staff (staff_id),
  courier_id integer REFERENCES staff (staff_id),
  starts_on date NOT NULL,
  due_back_on date NOT NULL,
  returned_on date,
  fee integer,
  insured char(1) NOT NULL
);
CREATE TABLE exhibitions (
  exhibition_id integer PRIMARY KEY,
  title text NOT NULL,
  curator_id integer NOT NULL REFERENCES staff (staff_id),
  gallery_id integer NOT NULL REFERENCES galleries (gallery_id),
  opens_on date NOT NULL,
  closes_on date NOT NULL,
  ticket_price numeric(5,2) NOT NULL
);
CREATE TABLE exhibition_objects (
  exhibition_id integer NOT NULL REFERENCES exhibitions (exhibition_id),
  object_id integer NOT NULL REFERENCES objects (object_id),
  label_no integer NOT NULL,
  PRIMARY KEY (exhibition_id, object_id)
);
CREATE TABLE visitors (
  visitor_id integer PRIMARY KEY,
  full_name text NOT NULL,
  home_country text,
  birth_year integer,
  member_since date,
  newsletter char(1) NOT NULL
);
CREATE TABLE visits (
  visit_id integer PRIMARY KEY,
  visitor_id integer NOT NULL REFERENCES visitors (visitor_id),
  visit_date date NOT NULL,
  exhibition_id integer REFERENCES exhibitions (exhibition_id),
  ticket_type text NOT NULL,
  amount_paid numeric(5,2) NOT NULL,
  audio_guide char(1) NOT NULL
);
