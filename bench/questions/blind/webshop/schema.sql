create table customers (
    "customerId" integer primary key,
    "fullName" text not null,
    email text not null,
    country text not null,
    "signedUpAt" timestamp not null,
    "marketingOptIn" boolean not null
);
create table categories (
    "categoryId" integer primary key,
    name text not null,
    "parentId" integer references categories
);
create table products (
    "productId" integer primary key,
    title text not null,
    "categoryId" integer not null references categories,
    price numeric(8,2) not null,
    "stockQty" integer not null,
    discontinued boolean not null
);
create table coupons (
    "couponCode" text primary key,
    "percentOff" integer not null,
    "validFrom" date not null,
    "validTo" date
);
create table orders (
    "orderId" integer primary key,
    "customerId" integer not null references customers,
    "placedAt" timestamp not null,
    status text not null,
    "couponCode" text references coupons,
    "shippingFee" numeric(6,2) not null
);
create table "orderItems" (
    "orderId" integer references orders,
    "lineNo" integer,
    "productId" integer not null references products,
    quantity integer not null,
    "unitPrice" numeric(8,2) not null,
    primary key ("orderId", "lineNo")
);
create table returns (
    "returnId" integer primary key,
    "orderId" integer not null,
    "lineNo" integer not null,
    reason text,
    "returnedAt" timestamp not null,
    "refundAmount" numeric(8,2) not null,
    foreign key ("orderId", "lineNo") references "orderItems"
);
create table reviews (
    "reviewId" integer primary key,
    "productId" integer not null references products,
    "customerId" integer not null references customers,
    stars integer not null,
    body text,
    "createdAt" timestamp not null
);
create table wishlists (
    "customerId" integer references customers,
    "productId" integer references products,
    "addedAt" timestamp not null,
    primary key ("customerId", "productId")
);
