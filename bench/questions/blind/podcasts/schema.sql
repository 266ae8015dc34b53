create table people (
    id integer primary key,
    name text not null,
    city text,
    born integer
);
create table shows (
    id integer primary key,
    title text not null,
    host_id integer not null references people,
    producer_id integer references people,
    genre text not null,
    language text not null,
    launched_on date not null,
    explicit boolean not null
);
create table episodes (
    id integer primary key,
    show_id integer not null references shows,
    season integer not null,
    number integer not null,
    title text not null,
    published_at timestamp,
    length_seconds integer not null,
    is_bonus boolean not null
);
create table guests (
    episode_id integer references episodes,
    person_id integer references people,
    primary key (episode_id, person_id)
);
create table listeners (
    id integer primary key,
    handle text not null,
    country text,
    birth_year integer,
    joined_on date not null,
    invited_by integer references listeners
);
create table plans (
    id integer primary key,
    name text not null,
    monthly_price numeric(5,2) not null,
    ad_free boolean not null
);
create table subscriptions (
    id integer primary key,
    listener_id integer not null references listeners,
    plan_id integer not null references plans,
    started_on date not null,
    cancelled_on date
);
create table listens (
    id integer primary key,
    listener_id integer not null references listeners,
    episode_id integer not null references episodes,
    started_at timestamp not null,
    seconds_played integer not null,
    device text not null,
    finished boolean not null
);
create table follows (
    listener_id integer references listeners,
    show_id integer references shows,
    followed_on date not null,
    primary key (listener_id, show_id)
);
create table ratings (
    listener_id integer references listeners,
    show_id integer references shows,
    score integer not null,
    primary key (listener_id, show_id)
);
