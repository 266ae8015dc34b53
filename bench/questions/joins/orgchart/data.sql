insert into office values (1,'Utrecht','Netherlands'),(2,'Ghent','Belgium'),(3,'Aarhus','Denmark'),(4,'Malmo','Sweden');
insert into unit values (1,'Company',null,null),(2,'Engineering',1,null),(3,'Commerce',1,null),(4,'Platform',2,null),(5,'Mobile',2,null),(6,'Storage',4,null),(7,'Sales',3,null),(8,'Marketing',3,null),(9,'Research',2,null);
insert into employee select i, (array['Wanda Kok','Yara Smit','Zeno Peeters','Abel Maes','Britt Juhl','Carl Dahl','Dora Bos','Emil Krog','Fleur Mol','Gijs Raes','Heidi Lund','Igor Kos','Jip Prins','Kaat Claes','Lena Storm','Milan Vos','Nora Friis','Otto Berg','Pia Holm','Rik Baert','Saar Wouters','Tess Blom','Udo Frank','Vera Nys'])[i],
 case when i=1 then 'chief executive' when i<4 then 'director' when i<9 then 'team lead' else (array['engineer','analyst','designer','account manager'])[1+i%4] end,
 (array[1,2,3,4,5,7,8,6,4,4,5,5,6,6,7,7,8,8,4,5,6,7,8,4])[i], 1+(i*5)%4, case when i=1 then null when i<4 then 1 when i<8 then (i/2) when i=8 then 4 else 4+(i*3)%5 end,
 case when i>9 then 2+(i*7)%8 end, 190000-i*5200+(i*i*911)%24000, date '2010-03-01'+(i*i*67)%4500, date '1960-01-01'+(i*1777)%14000 from generate_series(1,24) i;
update unit set head_id = (array[1,2,3,4,5,8,6,7,null])[unit_id];
insert into skill values (1,'python'),(2,'sql'),(3,'negotiation'),(4,'drawing'),(5,'welding'),(6,'german');
insert into employee_skill select e, s, 1+(e*s)%5 from generate_series(1,23) e, generate_series(1,6) s where (e*2+s+e*e)%5<2 and s<>5 or (e+s)%7=0 and s<>5;
insert into project values (1,'Aurora',1,4,400000,4),(2,'Birch',2,5,120000,5),(3,'Comet',3,6,90000,7),(4,'Delta',2,9,310000,6),(5,'Ember',3,7,45000,8),(6,'Flint',1,8,75000,6),(7,'Gale',2,null,15000,9);
insert into assignment select p, e, 10+(p*e*7)%130 from generate_series(1,6) p, generate_series(4,22) e where (p*e+p)%4=0;
