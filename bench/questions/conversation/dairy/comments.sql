comment on column milking.grade is '1 = prime, 2 = plain, 3 = feed';
