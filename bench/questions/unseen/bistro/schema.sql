CREATE TABLE rst_branch (
  branch_id int PRIMARY KEY,
  branch_name text NOT NULL,
  city text NOT NULL,
  opened_on date NOT NULL,
  seats int NOT NULL,
  has_terrace boolean NOT NULL
);
CREATE TABLE rst_menu_item (
  item_id int PRIMARY KEY,
  item_name text NOT NULL,
  category text NOT NULL,
  price numeric(6,2) NOT NULL,
  cost numeric(6,2) NOT NULL,
  is_vegan boolean NOT NULL,
  retired_on date
);
CREATE TABLE rst_staff (
  staff_id int PRIMARY KEY,
  full_name text NOT NULL,
  position text NOT NULL,
  branch_id int NOT NULL,
  hourly_wage numeric(5,2) NOT NULL,
  hired_on date NOT NULL,
  left_on date,
  supervisor_id int
);
CREATE TABLE rst_order (
  order_id int PRIMARY KEY,
  branch_id int NOT NULL,
  staff_id int,
  table_no int,
  ordered_at timestamp NOT NULL,
  channel text NOT NULL,
  discount numeric(6,2) NOT NULL,
  tip numeric(6,2),
  paid boolean NOT NULL
);
CREATE TABLE rst_order_line (
  order_id int NOT NULL,
  line_no int NOT NULL,
  item_id int NOT NULL,
  qty int NOT NULL,
  unit_price numeric(6,2) NOT NULL,
  PRIMARY KEY (order_id, line_no)
);
CREATE TABLE rst_shift (
  shift_id int PRIMARY KEY,
  staff_id int NOT NULL,
  branch_id int NOT NULL,
  shift_date date NOT NULL,
  start_time time NOT NULL,
  hours numeric(4,1) NOT NULL,
  called_in_sick boolean NOT NULL
);
CREATE TABLE rst_reservation (
  reservation_id int PRIMARY KEY,
  branch_id int NOT NULL,
  guest_name text NOT NULL,
  phone text,
  party_size int NOT NULL,
  reserved_for timestamp NOT NULL,
  status text NOT NULL,
  booked_at timestamp NOT NULL
);
