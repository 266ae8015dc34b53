create table team (
    team_code text primary key,
    team_name text not null,
    office text not null
);
create table agent (
    agent_code text primary key,
    agent_name text not null,
    team_code text not null,
    supervisor_code text,
    start_date date not null,
    end_date date,
    is_remote boolean not null
);
create table queue (
    queue_code text primary key,
    queue_name text not null,
    target_wait_seconds integer not null
);
create table agent_queue (
    agent_code text not null,
    queue_code text not null,
    skill_level integer not null,
    primary key (agent_code, queue_code)
);
create table caller (
    caller_id integer primary key,
    caller_name text not null,
    region text not null,
    segment text not null
);
create table phone_call (
    call_id integer primary key,
    queue_code text not null,
    caller_id integer not null,
    agent_code text,
    started_at timestamp not null,
    wait_seconds integer not null,
    talk_seconds integer not null,
    outcome text not null
);
create table call_transfer (
    transfer_id integer primary key,
    call_id integer not null,
    from_agent_code text not null,
    to_agent_code text not null,
    transferred_at timestamp not null
);
create table survey_reply (
    reply_id integer primary key,
    call_id integer not null,
    score integer not null,
    remark text,
    replied_on date not null
);
comment on column phone_call.agent_code is 'Agent who took the call, empty when the caller hung up while waiting';
comment on column phone_call.outcome is 'resolved, callback, escalated or abandoned';
comment on column survey_reply.score is 'Satisfaction from 1 (very poor) to 5 (very good)';
comment on column agent_queue.skill_level is '1 = trainee, 2 = regular, 3 = expert';
