create table trk_users (
    id integer primary key,
    username text not null unique,
    full_name text not null,
    role text not null,
    active boolean not null,
    manager_id integer references trk_users,
    created_at timestamp not null
);
create table trk_projects (
    id integer primary key,
    key text not null unique,
    name text not null,
    lead_id integer references trk_users,
    archived boolean not null
);
create table trk_sprints (
    id integer primary key,
    project_id integer not null references trk_projects,
    name text not null,
    start_date date not null,
    end_date date not null,
    goal text
);
create table trk_issues (
    id integer primary key,
    project_id integer not null references trk_projects,
    sprint_id integer references trk_sprints,
    parent_id integer references trk_issues,
    title text not null,
    type text not null,
    status text not null,
    priority text not null,
    story_points integer,
    reporter_id integer not null references trk_users,
    assignee_id integer references trk_users,
    created_at timestamp not null,
    resolved_at timestamp
);
create table trk_labels (
    id integer primary key,
    name text not null
);
create table trk_issue_labels (
    issue_id integer references trk_issues,
    label_id integer references trk_labels,
    primary key (issue_id, label_id)
);
create table trk_comments (
    id integer primary key,
    issue_id integer not null references trk_issues,
    author_id integer not null references trk_users,
    body text not null,
    created_at timestamp not null
);
create table trk_worklogs (
    id integer primary key,
    issue_id integer not null references trk_issues,
    user_id integer not null references trk_users,
    work_date date not null,
    minutes integer not null
);
