CREATE TABLE depots (
  depot_id integer PRIMARY KEY,
  city text NOT NULL,
  opened_year integer NOT NULL
);
CREATE TABLE drivers (
  driver_id integer PRIMARY KEY,
  full_name text NOT NULL,
  birth_date date NOT NULL,
  hired_on date NOT NULL,
  depot_id integer NOT NULL REFERENCES depots(depot_id)
);
CREATE TABLE consignments (
  consignment_id integer PRIMARY KEY,
  customer text NOT NULL,
  depot_id integer NOT NULL REFERENCES depots(depot_id),
  ordered_on date NOT NULL,
  due_on date NOT NULL,
  shipped_on date,
  delivered_at timestamp,
  weight_kg numeric(8,1) NOT NULL,
  charge numeric(9,2) NOT NULL
);
CREATE TABLE trips (
  trip_id integer PRIMARY KEY,
  driver_id integer NOT NULL REFERENCES drivers(driver_id),
  departed_at timestamp NOT NULL,
  arrived_at timestamp,
  kilometres integer NOT NULL
);
