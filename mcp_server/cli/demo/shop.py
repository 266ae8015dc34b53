"""A small shop: customers, products, orders and reviews, the same ones at every run."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import sql

SEED = 20_250_618
CUSTOMERS, PRODUCTS, ORDERS, REVIEWS = 400, 90, 3000, 1200
ROWS_PER_INSERT = 1000
FIRST_DAY, DAYS = date(2024, 1, 1), 730

SCHEMA = """
create table customers (
  id int primary key,
  name text not null,
  email text not null unique,
  city text not null,
  country text not null,
  joined_on date not null
);
create table products (
  id int primary key,
  name text not null unique,
  category text not null,
  price numeric(10, 2) not null check (price > 0),
  stock int not null
);
create table orders (
  id int primary key,
  customer_id int not null references customers,
  product_id int not null references products,
  quantity int not null check (quantity > 0),
  total numeric(12, 2) not null,
  status text not null check (status in ('pending', 'shipped', 'delivered', 'returned')),
  ordered_on date not null
);
create table reviews (
  id int primary key,
  customer_id int not null references customers,
  product_id int not null references products,
  rating int not null check (rating between 1 and 5),
  comment text,
  written_on date not null
);
create index on orders (customer_id);
create index on orders (product_id);
create index on reviews (product_id);
comment on table customers is 'People who have an account in the shop';
comment on table products is 'What the shop sells';
comment on table orders is 'One product bought by one customer on one day';
comment on table reviews is 'What customers think of products';
comment on column products.price is 'Price of one piece, in euros';
comment on column products.stock is 'Pieces in the warehouse';
comment on column orders.total is 'Price of the whole order, in euros';
comment on column reviews.rating is 'Stars, 1 (bad) to 5 (good)';
"""

QUESTIONS = (
    "How many customers are from Germany?",
    "What are the 3 most expensive products?",
    "Show the average rating of each product category",
    "List the names of products that have no reviews",
    "How many orders were returned in 2024?",
)
BESIDE_THE_POINT = "What is the weather in Paris?"

FIRST = (
    "Ada Ben Cleo Dan Eva Finn Gwen Hugo Ines Jan Kira Leo Mia Nils Olga Paul Rosa Sven Tara Udo"
)
LAST = "Adler Bauer Costa Diaz Engel Ferrari Garcia Hansen Ivanov Jensen Keller Larsen Moreau Novak"
CITIES = {
    "Germany": ("Berlin", "Hamburg", "Munich"),
    "France": ("Paris", "Lyon"),
    "Spain": ("Madrid", "Seville"),
    "Norway": ("Oslo", "Bergen"),
    "Italy": ("Rome", "Turin"),
}
THINGS = {
    "books": ("Novel", "Atlas", "Cookbook", "Dictionary", "Biography", "Guide"),
    "games": ("Puzzle", "Card Game", "Chess Set", "Board Game", "Dice Set", "Kite"),
    "garden": ("Spade", "Rake", "Watering Can", "Bench", "Lantern", "Planter"),
    "kitchen": ("Teapot", "Pan", "Knife", "Grater", "Mixer", "Bowl"),
    "office": ("Notebook", "Pen", "Lamp", "Stapler", "Desk", "Chair"),
}
STYLES = ("Classic", "Nordic", "Compact")
OPINIONS = {
    1: ("broke on the first day", "never again"),
    2: ("not what I expected", "too small"),
    3: ("does its job", "fine for the price"),
    4: ("very good", "would buy again"),
    5: ("perfect", "the best I ever had"),
}
STATUSES, WEIGHTS = ("pending", "shipped", "delivered", "returned"), (5, 10, 75, 10)

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table, in the order of its columns."""

    name: str
    rows: list[Row]

    def inserts(self) -> Iterator[str]:
        """INSERT statements of at most ROWS_PER_INSERT rows each."""
        for start in range(0, len(self.rows), ROWS_PER_INSERT):
            values = sql.SQL(", ").join(
                sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row)))
                for row in self.rows[start : start + ROWS_PER_INSERT]
            )
            statement = sql.SQL("insert into {} values {}").format(
                sql.Identifier(self.name), values
            )
            yield statement.as_string()


def tables(seed: int = SEED) -> list[Table]:
    """The shop's tables, those that others refer to first."""
    dice = random.Random(seed)
    customers = [_customer(dice, number) for number in range(1, CUSTOMERS + 1)]
    products = list(_products(dice))
    orders = [_order(dice, number, products) for number in range(1, ORDERS + 1)]
    # The last products are new: nobody has reviewed them yet.
    reviewed = products[: -PRODUCTS // 12]
    reviews = [_review(dice, number, reviewed) for number in range(1, REVIEWS + 1)]
    return [
        Table("customers", customers),
        Table("products", products),
        Table("orders", orders),
        Table("reviews", reviews),
    ]


def _customer(dice: random.Random, number: int) -> Row:
    first, last = dice.choice(FIRST.split()), dice.choice(LAST.split())
    country = dice.choice(list(CITIES))
    email = f"{first}.{last}.{number}@example.org".lower()
    return number, f"{first} {last}", email, dice.choice(CITIES[country]), country, _day(dice)


def _products(dice: random.Random) -> Iterator[Row]:
    number = 0
    for style in STYLES:
        for category, names in THINGS.items():
            for name in names:
                number += 1
                price = f"{dice.randint(300, 25_000) / 100:.2f}"
                yield number, f"{style} {name}", category, price, dice.randint(0, 500)


def _order(dice: random.Random, number: int, products: list[Row]) -> Row:
    product = dice.choice(products)
    quantity = dice.choices((1, 2, 3, 5), (70, 18, 8, 4))[0]
    total = f"{float(str(product[3])) * quantity:.2f}"
    status = dice.choices(STATUSES, WEIGHTS)[0]
    # A triangle rather than an even spread, so that "the most orders" has a clear answer.
    customer = int(dice.triangular(1, CUSTOMERS, CUSTOMERS / 5))
    return number, customer, product[0], quantity, total, status, _day(dice)


def _review(dice: random.Random, number: int, products: list[Row]) -> Row:
    rating = dice.choices((1, 2, 3, 4, 5), (6, 9, 20, 35, 30))[0]
    customer = dice.randint(1, CUSTOMERS)
    return (
        number,
        customer,
        dice.choice(products)[0],
        rating,
        dice.choice(OPINIONS[rating]),
        _day(dice),
    )


def _day(dice: random.Random) -> date:
    return FIRST_DAY + timedelta(days=dice.randrange(DAYS))
