create table departments (id int primary key, name text not null, budget int);
create table employees (id int primary key, name text not null, city text, salary int, hired date, department_id int references departments);
create table projects (id int primary key, name text not null, department_id int references departments, started date, budget int);
