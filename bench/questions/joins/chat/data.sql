insert into member select i, (array['amber','bruno','cleo','dmitri','edna','farid','gita','hugo','ilse','jomo','kiri','lars','mona','nils','odette','pavel','quinn','rosa','sven','tariq'])[i],
 (array['Amber Hale','Bruno Pinto','Cleo Marsh','Dmitri Orlov','Edna Moss','Farid Aziz','Gita Rao','Hugo Blanc','Ilse Kern','Jomo Kariuki','Kiri Tane','Lars Holm','Mona Saleh','Nils Berg','Odette Roux','Pavel Novak','Quinn Doyle','Rosa Vega','Sven Lind','Tariq Shah'])[i],
 (array['Leeds','Porto','Turku','Leeds','Graz','Porto','Pune'])[1+i%7], date '2022-01-10'+i*29, case when i>3 then 1+(i*i/3)%(i-1) end from generate_series(1,20) i;
insert into room values (1,'Sourdough','baking',1,false),(2,'Night sky','astronomy',4,false),(3,'Trail running','sport',2,false),(4,'Board','admin',1,true),(5,'Old radios','electronics',9,false),(6,'Bees','garden',4,true),(7,'Compost','garden',12,false);
insert into room_member select r, m, case when m=(array[1,4,2,1,9,4,12])[r] then 'owner' when (r+m)%5=0 then 'moderator' else 'guest' end from generate_series(1,6) r, generate_series(1,18) m where (m*m+m*r+r)%5<>1 or m=(array[1,4,2,1,9,4])[r];
insert into room_member values (7,12,'owner');
insert into post select i, 1+(i*5)%6, 1+(i*7)%16, case when i>6 and i%3<>0 then i-6*(1+i%2*(case when i>12 then 1 else 0 end)) end, 'text '||i, timestamp '2024-03-01 08:00'+i*interval '17 hours' from generate_series(1,120) i;
insert into direct_message select i, 1+(i*3)%17, 1+(i*3+1+i%7)%18, 'hi '||i, timestamp '2024-05-01 10:00'+i*interval '9 hours', case when i%4<>0 then timestamp '2024-05-01 10:00'+i*interval '9 hours'+interval '20 minutes' end from generate_series(1,90) i;
insert into reaction select distinct 1+(i*11)%100, 1+(i*13)%19, (array['heart','laugh','thumbs up'])[1+i%3] from generate_series(1,140) i;
insert into block values (1,6),(2,6),(3,9),(9,3),(4,11),(12,6),(5,9);
