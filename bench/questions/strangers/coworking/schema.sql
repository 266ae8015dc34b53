create table site (
    id integer primary key,
    name text not null,
    city text not null,
    "openedOn" date not null
);
create table company (
    id integer primary key,
    name text not null,
    industry text not null
);
create table member (
    id integer primary key,
    "fullName" text not null,
    email text not null,
    "companyId" integer references company (id),
    "homeSiteId" integer not null references site (id),
    "joinedOn" date not null,
    "referredById" integer references member (id)
);
create table plan (
    id integer primary key,
    name text not null,
    "monthlyPrice" numeric(8, 2) not null,
    "meetingHours" integer not null
);
create table subscription (
    id integer primary key,
    "memberId" integer not null references member (id),
    "planId" integer not null references plan (id),
    "startsOn" date not null,
    "endsOn" date,
    "autoRenew" boolean not null
);
create table "meetingRoom" (
    id integer primary key,
    "siteId" integer not null references site (id),
    name text not null,
    capacity integer not null,
    "hourlyRate" numeric(6, 2) not null,
    "hasScreen" boolean not null
);
create table "roomBooking" (
    id integer primary key,
    "roomId" integer not null references "meetingRoom" (id),
    "memberId" integer not null references member (id),
    "startsAt" timestamp not null,
    "endsAt" timestamp not null,
    "isCancelled" boolean not null
);
create table "checkIn" (
    id integer primary key,
    "memberId" integer not null references member (id),
    "siteId" integer not null references site (id),
    "checkedInAt" timestamp not null
);
create table invoice (
    id integer primary key,
    "memberId" integer not null references member (id),
    "issuedOn" date not null,
    "totalAmount" numeric(9, 2) not null,
    "paidOn" date
);
