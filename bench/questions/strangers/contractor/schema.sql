create table customer (
    customer_id integer primary key,
    name text not null,
    kind text not null,
    city text not null,
    since date not null
);
create table employee (
    employee_id integer primary key,
    full_name text not null,
    trade text not null,
    hourly_cost numeric(6, 2) not null,
    hired_on date not null,
    left_on date,
    foreman_id integer references employee (employee_id)
);
create table job (
    job_id integer primary key,
    job_number text not null unique,
    title text not null,
    customer_id integer not null references customer (customer_id),
    project_manager_id integer not null references employee (employee_id),
    estimator_id integer not null references employee (employee_id),
    contract_amount numeric(12, 2) not null,
    start_date date not null,
    planned_finish date not null,
    finished_on date,
    status text not null
);
create table cost_code (
    code text primary key,
    description text not null,
    category text not null
);
create table budget_line (
    job_id integer not null references job (job_id),
    code text not null references cost_code (code),
    amount numeric(12, 2) not null,
    primary key (job_id, code)
);
create table timesheet (
    timesheet_id integer primary key,
    employee_id integer not null references employee (employee_id),
    job_id integer not null references job (job_id),
    code text not null references cost_code (code),
    work_date date not null,
    hours numeric(4, 1) not null,
    overtime_hours numeric(4, 1) not null
);
create table supplier (
    supplier_id integer primary key,
    name text not null,
    is_subcontractor boolean not null,
    city text not null
);
create table supplier_invoice (
    invoice_id integer primary key,
    supplier_id integer not null references supplier (supplier_id),
    job_id integer not null references job (job_id),
    code text not null references cost_code (code),
    invoice_date date not null,
    amount numeric(12, 2) not null,
    paid_on date
);
create table change_order (
    change_order_id integer primary key,
    job_id integer not null references job (job_id),
    requested_on date not null,
    description text not null,
    amount numeric(12, 2) not null,
    approved boolean not null
);
