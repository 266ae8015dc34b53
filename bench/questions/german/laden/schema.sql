create table kunden (id int primary key, name text not null, stadt text, geburtsjahr int);
create table produkte (id int primary key, name text not null, kategorie text, preis numeric(8, 2));
create table bestellungen (id int primary key, kunden_id int references kunden, produkt_id int references produkte, menge int, bestelldatum date);
create table "städte" (id int primary key, name text not null, einwohner int);
