create type application_status as enum ('submitted', 'under_review', 'approved', 'declined', 'withdrawn');
create table organizations (
    id integer primary key,
    name text not null,
    city text not null,
    country text not null,
    annual_budget numeric(12, 2) not null,
    founded_year integer not null,
    parent_id integer references organizations (id)
);
create table people (
    id integer primary key,
    full_name text not null,
    position text not null,
    joined_on date not null,
    is_external boolean not null
);
create table programs (
    id integer primary key,
    name text not null,
    theme text not null,
    yearly_budget numeric(12, 2) not null,
    launched_on date not null,
    accepts_applications boolean not null,
    director_id integer not null references people (id)
);
create table applications (
    id integer primary key,
    organization_id integer not null references organizations (id),
    program_id integer not null references programs (id),
    project_title text not null,
    requested_amount numeric(12, 2) not null,
    submitted_on date not null,
    decided_on date,
    status application_status not null,
    officer_id integer not null references people (id),
    deputy_officer_id integer references people (id)
);
create table reviews (
    id integer primary key,
    application_id integer not null references applications (id),
    reviewer_id integer not null references people (id),
    score integer not null,
    recommends_funding boolean not null,
    reviewed_on date not null
);
create table grants (
    id integer primary key,
    application_id integer not null unique references applications (id),
    awarded_amount numeric(12, 2) not null,
    awarded_on date not null,
    ends_on date not null
);
create table payments (
    id integer primary key,
    grant_id integer not null references grants (id),
    amount numeric(12, 2) not null,
    due_on date not null,
    paid_on date
);
create table topics (
    id integer primary key,
    label text not null
);
create table application_topics (
    application_id integer not null references applications (id),
    topic_id integer not null references topics (id),
    primary key (application_id, topic_id)
);
create view grant_balances as
select
    g.id as grant_id,
    a.project_title,
    g.awarded_amount,
    coalesce(sum(p.amount) filter (where p.paid_on is not null), 0) as paid_amount,
    g.awarded_amount - coalesce(sum(p.amount) filter (where p.paid_on is not null), 0) as outstanding_amount
from grants g
join applications a on a.id = g.application_id
left join payments p on p.grant_id = g.id
group by g.id, a.project_title, g.awarded_amount;
comment on column reviews.score is 'From 1 (weak) to 10 (outstanding)';
comment on column organizations.parent_id is 'Umbrella organization this one belongs to';
comment on column people.position is 'director, program officer or reviewer';
comment on column payments.paid_on is 'Empty until the instalment has been paid';
