create table office (office_id int primary key, city text not null, country text not null);
create table unit (unit_id int primary key, name text not null, parent_unit_id int references unit, head_id int);
create table employee (employee_id int primary key, name text not null, job_title text, unit_id int references unit, office_id int references office, manager_id int references employee, mentor_id int references employee, salary int, hired_on date, birth_date date);
alter table unit add foreign key (head_id) references employee;
create table skill (skill_id int primary key, name text not null);
create table employee_skill (employee_id int references employee, skill_id int references skill, level int, primary key (employee_id, skill_id));
create table project (project_id int primary key, name text not null, sponsor_id int references employee, lead_id int references employee, budget int, unit_id int references unit);
create table assignment (project_id int references project, employee_id int references employee, hours int, primary key (project_id, employee_id));
