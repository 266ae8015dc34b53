create table account (account_id int primary key, name text not null unique, country text, industry text,
  parent_account_id int references account, created_on date not null, is_active boolean not null, seats int);
create table plan (plan_id int primary key, name text not null, tier text, monthly_price numeric(8,2), annual_discount numeric(4,2));
create table subscription (subscription_id int primary key, account_id int not null references account,
  plan_id int not null references plan, quantity int not null, status text not null, started_on date not null, cancelled_on date);
create table invoice (invoice_id int primary key, account_id int not null references account, issued_on date not null,
  due_on date not null, paid_on date, currency text, state text);
create table invoice_line (invoice_id int not null references invoice, line_no int not null, plan_id int references plan,
  description text, quantity int, unit_price numeric(8,2), primary key (invoice_id, line_no));
create table refund (refund_id int primary key, invoice_id int not null, line_no int not null, amount numeric(8,2), reason text,
  refunded_on date, foreign key (invoice_id, line_no) references invoice_line (invoice_id, line_no));
