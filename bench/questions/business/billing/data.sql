insert into account select i, (array['Alder','Birch','Cedar','Dogwood','Elm','Fir','Ginkgo','Hazel','Ivy','Juniper'])[1+(i-1)%10]||' '||(array['Labs','Foods','Media','Bank'])[1+(i-1)/10],
 (array['Germany','France','Japan','Brazil','Kenya'])[1+(i*7)%5], (array['retail','finance','media','health'])[1+(i*3)%4],
 case when i>10 and i%3=0 then 1+(i%10) end, date_trunc('year',current_date)::date - 900 + i*37, i%6<>0, 5+(i*13)%60 from generate_series(1,40) i;
insert into plan values (1,'Starter','basic',19.00,0.05),(2,'Team','standard',49.00,0.10),(3,'Scale','standard',99.00,0.10),(4,'Enterprise','premium',249.00,0.20),(5,'Legacy','basic',9.00,0);
insert into subscription select i, 1+(i*11)%38, 1+(i*i)%4, 1+(i*5)%9, (array['active','active','trialing','past due','cancelled'])[1+i%5],
 current_date-700+i*8, case when i%5=4 then current_date-300+i*3 end from generate_series(1,80) i;
insert into invoice select i, 1+(i*17)%38, d, d+30, case when i%7=0 then null when i%5=0 then d+30+(i%23) else d+(i%29) end,
 (array['EUR','USD','JPY'])[1+i%3], case when i%7=0 then 'open' when i%19=0 then 'void' else 'paid' end
 from (select i, current_date-720+i*2+(i%3) as d from generate_series(1,350) i) s;
insert into invoice_line select i, l, 1+(i+l)%4, 'seat licence', 1+(i*l)%7, (array[19.00,49.00,99.00,249.00])[1+(i+l)%4] from generate_series(1,350) i, generate_series(1,3) l where l=1 or (i*l)%4<>0;
insert into refund select i, i*9, 1, 5+i, (array['duplicate','unhappy','mistake'])[1+i%3], current_date-400+i*9 from generate_series(1,38) i;
