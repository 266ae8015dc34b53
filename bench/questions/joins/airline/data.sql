insert into airport values ('OSL','Gardermoen','Oslo','Norway',208),('BGO','Flesland','Bergen','Norway',50),('LIS','Portela','Lisbon','Portugal',114),('OPO','Sa Carneiro','Porto','Portugal',69),
 ('NBO','Jomo Kenyatta','Nairobi','Kenya',1624),('MBA','Moi','Mombasa','Kenya',61),('LPB','El Alto','La Paz','Bolivia',4061),('DEN','Stapleton','Denver','United States',1640),('KEF','Keflavik','Reykjavik','Iceland',52),('TBS','Shota Rustaveli','Tbilisi','Georgia',495);
insert into carrier values (1,'Fjord Air','Norway',1978),(2,'Lusitania','Portugal',1955),(3,'Savanna Wings','Kenya',1999),(4,'Condor Andino','Bolivia',2004),(5,'Geyser Jet','Iceland',1988);
insert into aircraft values ('LN-AA','Dash 8',50,1),('LN-AB','A320',168,1),('CS-TA','A321',200,2),('CS-TB','A330',270,2),('5Y-KA','E190',96,3),('CP-01','737-800',162,4),('TF-GA','757-200',183,5),('TF-GB','737 MAX',160,5),('LN-AC','A320',172,1);
insert into flight select i, (array['FJ','LU','SW','CA','GJ'])[1+c]||(100+i), 1+c,
  (array[array['LN-AA','LN-AB'],array['CS-TA','CS-TB'],array['5Y-KA','5Y-KA'],array['CP-01','CP-01'],array['TF-GA','TF-GB']])[1+c][1+(i/3)%2],
  a[o], a[d], timestamp '2025-01-03 06:30' + i * interval '31 hours', 250+(i*137)%6000, case when i%11=0 then 'cancelled' when i%4=0 then 'delayed' else 'on time' end
 from (select i, (i*7)%4 + case when i%9=0 then 1 else 0 end as c, 1+(i*5+i/7)%8 as o, 1+((i*5+i/7)%8+1+(i*3+i/5)%6)%9 as d, array['OSL','BGO','LIS','OPO','NBO','MBA','LPB','KEF','DEN'] as a from generate_series(1,60) i) s;
insert into passenger select i, (array['Ada','Bo','Chi','Dag','Eli','Fay','Gus','Hana','Ivo','Jun'])[1+i%10]||' '||(array['Berg','Costa','Mwangi','Quispe','Olsen','Silva'])[1+i%6],
 (array['Norway','Portugal','Kenya','Bolivia','Iceland'])[1+(i*3)%5], date '1950-02-01'+ i*389 from generate_series(1,45) i;
insert into booking select i, 1+(i*13)%40, 1+(i*17)%55, (1+i%30)||(array['A','C','D','F'])[1+i%4], (array['economy','economy','economy','business'])[1+i%4], 60+(i*37)%900 from generate_series(1,170) i;
insert into pilot select i, (array['Astrid Lund','Bruno Dias','Cora Njeri','Diego Mamani','Erik Vik','Filipa Reis','Grace Otieno','Helgi Jonsson','Ines Rocha','Jon Dahl','Kari Moen','Luis Vaca'])[i],
 (array['OSL','LIS','NBO','LPB','BGO','OPO','NBO','KEF','LIS','OSL',null,'LPB'])[i], date '2004-05-01' + i*511 from generate_series(1,12) i;
insert into duty select i, 1+(i*5)%10, 'captain' from generate_series(1,58) i;
insert into duty select i, 1+(i*5+3+i%2)%10, 'first officer' from generate_series(1,58) i;
