create type "Genre" as enum ('drama', 'comedy', 'musical', 'opera', 'dance', 'family');
create type "SalesChannel" as enum ('online', 'phone', 'counter', 'agency');
create table "auditorium" (
    "auditoriumId" integer primary key,
    "auditoriumName" text not null,
    "city" text not null,
    "seatCapacity" integer not null,
    "hasSurtitles" boolean not null
);
create table "artist" (
    "artistId" integer primary key,
    "fullName" text not null,
    "nationality" text not null,
    "birthYear" integer not null
);
create table "production" (
    "productionId" integer primary key,
    "title" text not null,
    "genre" "Genre" not null,
    "directorId" integer not null references "artist" ("artistId"),
    "composerId" integer references "artist" ("artistId"),
    "premiereDate" date not null,
    "runtimeMinutes" integer not null,
    "productionCost" numeric(12, 2) not null
);
create table "castMember" (
    "productionId" integer not null references "production" ("productionId"),
    "artistId" integer not null references "artist" ("artistId"),
    "roleName" text not null,
    "isLead" boolean not null,
    primary key ("productionId", "artistId", "roleName")
);
create table "performance" (
    "performanceId" integer primary key,
    "productionId" integer not null references "production" ("productionId"),
    "auditoriumId" integer not null references "auditorium" ("auditoriumId"),
    "startsAt" timestamp not null,
    "isCancelled" boolean not null
);
create table "patron" (
    "patronId" integer primary key,
    "fullName" text not null,
    "homeCity" text not null,
    "joinedOn" date not null,
    "isSubscriber" boolean not null,
    "referredById" integer references "patron" ("patronId")
);
create table "booking" (
    "bookingId" integer primary key,
    "performanceId" integer not null references "performance" ("performanceId"),
    "patronId" integer not null references "patron" ("patronId"),
    "bookedAt" timestamp not null,
    "channel" "SalesChannel" not null,
    "refundedOn" date
);
create table "bookingLine" (
    "bookingId" integer not null references "booking" ("bookingId"),
    "lineNo" integer not null,
    "priceBand" text not null,
    "seats" integer not null,
    "pricePerSeat" numeric(8, 2) not null,
    primary key ("bookingId", "lineNo")
);
comment on column "bookingLine"."priceBand" is 'stalls, circle, balcony or box';
comment on column "patron"."referredById" is 'Patron who recommended the theatre to this one';
comment on column "booking"."refundedOn" is 'Day the money was given back, empty when the booking stands';
