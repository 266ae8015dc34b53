CREATE TABLE agents (
  id integer PRIMARY KEY,
  username text NOT NULL UNIQUE,
  display_name text NOT NULL,
  team text NOT NULL,
  is_active boolean NOT NULL,
  hired_on date NOT NULL
);
CREATE TABLE tickets (
  id integer PRIMARY KEY,
  subject text NOT NULL,
  company text NOT NULL,
  status text NOT NULL,
  priority text NOT NULL,
  assigned_agent_id integer REFERENCES agents(id),
  created_at timestamp NOT NULL,
  closed_at timestamp,
  is_escalated boolean NOT NULL DEFAULT false,
  satisfaction_score smallint
);
CREATE TABLE comments (
  id integer PRIMARY KEY,
  ticket_id integer NOT NULL REFERENCES tickets(id),
  agent_id integer NOT NULL REFERENCES agents(id),
  body text NOT NULL,
  is_internal boolean NOT NULL DEFAULT false,
  created_at timestamp NOT NULL
);
CREATE TABLE tags (
  id integer PRIMARY KEY,
  label text NOT NULL UNIQUE
);
CREATE TABLE ticket_tags (
  ticket_id integer NOT NULL REFERENCES tickets(id),
  tag_id integer NOT NULL REFERENCES tags(id),
  PRIMARY KEY (ticket_id, tag_id)
);
