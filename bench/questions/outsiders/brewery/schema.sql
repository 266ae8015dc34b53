create table staff_member (
    staff_id integer primary key,
    full_name text not null,
    job_title text not null,
    hired_on date not null,
    left_on date
);
create table recipe (
    recipe_id integer primary key,
    recipe_name text not null,
    beer_style text not null,
    target_abv numeric(4, 2) not null,
    bitterness_ibu integer not null,
    is_seasonal boolean not null,
    based_on_recipe_id integer references recipe (recipe_id)
);
create table ingredient (
    ingredient_id integer primary key,
    ingredient_name text not null,
    category text not null,
    unit_cost numeric(8, 2) not null,
    stock_kg numeric(8, 1) not null,
    organic boolean not null
);
create table recipe_ingredient (
    recipe_id integer not null references recipe (recipe_id),
    ingredient_id integer not null references ingredient (ingredient_id),
    kg_per_hl numeric(6, 2) not null,
    primary key (recipe_id, ingredient_id)
);
create table tank (
    tank_id integer primary key,
    tank_code text not null unique,
    kind text not null,
    capacity_hl integer not null,
    in_service boolean not null
);
create table batch (
    batch_id integer primary key,
    batch_number text not null unique,
    recipe_id integer not null references recipe (recipe_id),
    tank_id integer not null references tank (tank_id),
    brewed_by integer not null references staff_member (staff_id),
    approved_by integer references staff_member (staff_id),
    brewed_on date not null,
    packaged_on date,
    volume_hl numeric(6, 1) not null,
    measured_abv numeric(4, 2),
    status text not null
);
create table tasting (
    tasting_id integer primary key,
    batch_id integer not null references batch (batch_id),
    taster_id integer not null references staff_member (staff_id),
    tasted_on date not null,
    score numeric(3, 1) not null,
    off_flavour text
);
create table trade_account (
    account_id integer primary key,
    account_name text not null,
    account_type text not null,
    town text not null,
    opened_on date not null
);
create table keg_sale (
    sale_id integer primary key,
    account_id integer not null references trade_account (account_id),
    batch_id integer not null references batch (batch_id),
    sold_on date not null,
    kegs integer not null,
    price_per_keg numeric(8, 2) not null
);
comment on column batch.status is 'fermenting, conditioning, packaged or dumped';
comment on column batch.volume_hl is 'Volume brewed, in hectolitres';
comment on column batch.approved_by is 'Staff member who released the batch for packaging';
comment on column ingredient.unit_cost is 'Cost per kilogram';
comment on column tasting.score is 'From 1 (undrinkable) to 10 (perfect)';
comment on column tasting.off_flavour is 'Fault that the taster noticed, if any';
