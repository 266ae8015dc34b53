CREATE TABLE hotel (
  hotel_id integer PRIMARY KEY,
  hotel_name varchar(80) NOT NULL,
  city varchar(60) NOT NULL,
  country varchar(60) NOT NULL,
  stars smallint,
  has_pool boolean NOT NULL
);
CREATE TABLE room (
  room_id integer PRIMARY KEY,
  hotel_id integer NOT NULL REFERENCES hotel(hotel_id),
  room_number integer NOT NULL,
  room_type varchar(20) NOT NULL,
  nightly_rate numeric(8,2) NOT NULL,
  max_guests smallint NOT NULL,
  sea_view boolean NOT NULL DEFAULT false
);
CREATE TABLE guest (
  guest_id integer PRIMARY KEY,
  full_name varchar(80) NOT NULL,
  nationality varchar(40),
  email varchar(100),
  loyalty_points integer,
  is_vip boolean NOT NULL DEFAULT false
);
CREATE TABLE booking (
  booking_id integer PRIMARY KEY,
  room_id integer NOT NULL REFERENCES room(room_id),
  guest_id integer NOT NULL REFERENCES guest(guest_id),
  check_in date NOT NULL,
  check_out date NOT NULL,
  num_guests smallint NOT NULL,
  total_price numeric(10,2) NOT NULL,
  status varchar(20) NOT NULL,
  breakfast_included boolean NOT NULL DEFAULT false
);
CREATE TABLE review (
  review_id integer PRIMARY KEY,
  booking_id integer NOT NULL UNIQUE REFERENCES booking(booking_id),
  rating smallint NOT NULL,
  comment text,
  review_date date NOT NULL
);
