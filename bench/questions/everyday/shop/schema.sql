CREATE TABLE customers (
  customer_id serial PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  city text,
  country text NOT NULL,
  signup_date date NOT NULL,
  newsletter boolean NOT NULL DEFAULT false
);
CREATE TABLE categories (
  category_id serial PRIMARY KEY,
  category_name text NOT NULL
);
CREATE TABLE products (
  product_id serial PRIMARY KEY,
  product_name text NOT NULL,
  category_id integer REFERENCES categories(category_id),
  price numeric(10,2) NOT NULL,
  stock_quantity integer,
  discontinued boolean NOT NULL DEFAULT false
);
CREATE TABLE orders (
  order_id serial PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers(customer_id),
  order_date date NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled', 'returned')),
  shipping_cost numeric(8,2) NOT NULL DEFAULT 0,
  shipped_date date
);
CREATE TABLE order_items (
  order_item_id serial PRIMARY KEY,
  order_id integer NOT NULL REFERENCES orders(order_id),
  product_id integer NOT NULL REFERENCES products(product_id),
  quantity integer NOT NULL,
  unit_price numeric(10,2) NOT NULL
);
