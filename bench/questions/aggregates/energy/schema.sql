create table region (region_id int primary key, name text not null, population int not null, area_km2 numeric(8,1) not null);
create table tariff (tariff_id int primary key, name text not null, kwh_price numeric(6,4) not null, base_fee numeric(6,2) not null, is_green boolean not null);
create table household (household_id int primary key, holder text not null, region_id int not null references region, tariff_id int not null references tariff, residents int not null, heating text not null);
create table reading (reading_id int primary key, household_id int not null references household, month date not null, day_kwh numeric(8,1) not null, night_kwh numeric(8,1) not null);
create table bill (bill_id int primary key, household_id int not null references household, issued date not null, amount numeric(8,2) not null, amount_paid numeric(8,2) not null, status text not null);
