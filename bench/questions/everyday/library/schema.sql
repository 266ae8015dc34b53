CREATE TABLE authors (
  id integer PRIMARY KEY,
  name varchar(100) NOT NULL,
  nationality varchar(50),
  birth_year integer
);
CREATE TABLE books (
  id integer PRIMARY KEY,
  title varchar(200) NOT NULL,
  author_id integer REFERENCES authors(id),
  genre varchar(50),
  published_year integer,
  pages integer,
  copies integer NOT NULL
);
CREATE TABLE members (
  id integer PRIMARY KEY,
  first_name varchar(50) NOT NULL,
  last_name varchar(50) NOT NULL,
  email varchar(120),
  city varchar(60),
  membership_type varchar(20) NOT NULL,
  joined_on date NOT NULL
);
CREATE TABLE loans (
  id integer PRIMARY KEY,
  book_id integer NOT NULL REFERENCES books(id),
  member_id integer NOT NULL REFERENCES members(id),
  loan_date date NOT NULL,
  due_date date NOT NULL,
  return_date date,
  fine numeric(6,2)
);
