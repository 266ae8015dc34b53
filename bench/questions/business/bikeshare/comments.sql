comment on column rider.membership is 'A = annual, C = casual, D = day pass';
comment on column bike.electric is 'Y = electric, N = not electric';
