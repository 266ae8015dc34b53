COMMENT ON COLUMN enrollments.grade IS 'Letter grade, empty until the term is graded';
COMMENT ON COLUMN students.major_id IS 'Department of the major; empty while undeclared';
