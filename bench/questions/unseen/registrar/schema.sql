CREATE TABLE departments (
  id integer PRIMARY KEY,
  name text NOT NULL,
  building text,
  chair_id integer
);
CREATE TABLE instructors (
  id integer PRIMARY KEY,
  first_name text NOT NULL,
  last_name text NOT NULL,
  email text,
  department_id integer NOT NULL REFERENCES departments (id),
  hired_on date NOT NULL,
  rank text NOT NULL
);
ALTER TABLE departments ADD FOREIGN KEY (chair_id) REFERENCES instructors (id) DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE terms (
  code text PRIMARY KEY,
  name text NOT NULL,
  starts_on date NOT NULL,
  ends_on date NOT NULL
);
CREATE TABLE courses (
  id integer PRIMARY KEY,
  code text NOT NULL UNIQUE,
  title text NOT NULL,
  credits integer NOT NULL,
  department_id integer NOT NULL REFERENCES departments (id)
);
CREATE TABLE course_prerequisites (
  course_id integer NOT NULL REFERENCES courses (id),
  prerequisite_id integer NOT NULL REFERENCES courses (id),
  PRIMARY KEY (course_id, prerequisite_id)
);
CREATE TABLE sections (
  course_id integer NOT NULL REFERENCES courses (id),
  term_code text NOT NULL REFERENCES terms (code),
  section_no integer NOT NULL,
  instructor_id integer REFERENCES instructors (id),
  room text,
  capacity integer NOT NULL,
  delivery text NOT NULL,
  PRIMARY KEY (course_id, term_code, section_no)
);
CREATE TABLE students (
  id integer PRIMARY KEY,
  student_number text NOT NULL UNIQUE,
  first_name text NOT NULL,
  last_name text NOT NULL,
  date_of_birth date NOT NULL,
  major_id integer REFERENCES departments (id),
  admitted_on date NOT NULL,
  is_international boolean NOT NULL DEFAULT false,
  advisor_id integer REFERENCES instructors (id)
);
CREATE TABLE enrollments (
  id integer PRIMARY KEY,
  student_id integer NOT NULL REFERENCES students (id),
  course_id integer NOT NULL,
  term_code text NOT NULL,
  section_no integer NOT NULL,
  status text NOT NULL,
  grade text,
  grade_points numeric(2,1),
  enrolled_on date NOT NULL,
  FOREIGN KEY (course_id, term_code, section_no) REFERENCES sections (course_id, term_code, section_no)
);
