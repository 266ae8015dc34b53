CREATE TABLE trainers (
  trainer_id integer PRIMARY KEY,
  name text NOT NULL,
  certified_on date NOT NULL
);
CREATE TABLE members (
  member_id integer PRIMARY KEY,
  name text NOT NULL,
  born date NOT NULL,
  plan text NOT NULL,
  joined_at timestamptz NOT NULL,
  cancelled_at timestamptz
);
CREATE TABLE classes (
  class_id integer PRIMARY KEY,
  title text NOT NULL,
  trainer_id integer NOT NULL REFERENCES trainers(trainer_id),
  begins time NOT NULL,
  minutes integer NOT NULL
);
CREATE TABLE visits (
  visit_id integer PRIMARY KEY,
  member_id integer NOT NULL REFERENCES members(member_id),
  entered_at timestamptz NOT NULL,
  left_at timestamptz
);
CREATE TABLE payments (
  payment_id integer PRIMARY KEY,
  member_id integer NOT NULL REFERENCES members(member_id),
  paid_on date NOT NULL,
  amount numeric(8,2) NOT NULL
);
