insert into vessel select i, (array['Aurelia','Borgund','Cassia','Dunlin','Estrella','Fulmar','Gannet','Halcyon','Iris','Jubilee','Kestrel','Lorelei','Mistral','Nereid','Orca','Petrel'])[i], (array['Panama','Liberia','Malta','Norway'])[1+i%4], (array['tanker','bulk carrier','container ship','ferry'])[1+(i*3)%4], 80+(i*31)%240, 4000+(i*7919)%90000, 1988+(i*5)%33 from generate_series(1,16) i;
insert into berth select i, chr(64+i)||i, (array['East','West','Oil'])[1+i%3], 8+(i*1.5) from generate_series(1,7) i;
insert into port_call select i, 1+(i*7)%15, 1+(i*5)%6, e, e+((i*17)%50-15||' hours')::interval, case when i%20<>0 then e+((i*17)%50+10+(i*3)%60||' hours')::interval end, (array['Nordhavn','Seaway','Trident'])[1+i%3]
 from (select i, date_trunc('hour', now()::timestamp)-interval '420 days'+(i*50||' hours')::interval as e from generate_series(1,200) i) x;
insert into container select 'CN'||(1000+i), (array[20,40,40,45])[1+i%4], (array['dry','reefer','tank'])[1+i%3], (array['Blue Star','Maren','Oceanic','Pacifica'])[1+(i*3)%4] from generate_series(1,150) i;
insert into cargo_move select i, 1+(i*3)%190, 'CN'||(1001+(i*11)%145), case when i%5<2 then 'out' else 'in' end, date_trunc('hour', now()::timestamp)-interval '418 days'+(i*11||' hours')::interval, 2000+(i*977)%26000, i%13=0 from generate_series(1,900) i;
insert into tug values (1,'Bulldog',60),(2,'Mastiff',75),(3,'Terrier',40),(4,'Husky',55);
insert into tug_job select c, t, 20+(c*t*7)%90 from generate_series(1,200) c, generate_series(1,3) t where (c*t)%4<>1;
