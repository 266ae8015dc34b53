CREATE TABLE departments (
  id integer PRIMARY KEY,
  name varchar(60) NOT NULL UNIQUE,
  location varchar(60),
  budget numeric(12,2)
);
CREATE TABLE employees (
  id integer PRIMARY KEY,
  first_name varchar(50) NOT NULL,
  last_name varchar(50) NOT NULL,
  email varchar(120) UNIQUE,
  phone varchar(30),
  job_title varchar(80),
  salary numeric(10,2),
  hire_date date NOT NULL,
  manager_id integer REFERENCES employees(id),
  department_id integer REFERENCES departments(id)
);
CREATE TABLE projects (
  id integer PRIMARY KEY,
  name varchar(80) NOT NULL,
  start_date date,
  end_date date,
  budget numeric(12,2),
  status varchar(20) NOT NULL,
  department_id integer REFERENCES departments(id)
);
CREATE TABLE assignments (
  employee_id integer NOT NULL REFERENCES employees(id),
  project_id integer NOT NULL REFERENCES projects(id),
  role varchar(40),
  hours integer,
  PRIMARY KEY (employee_id, project_id)
);
