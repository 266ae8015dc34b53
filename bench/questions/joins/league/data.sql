insert into town values (1,'Dunmore','North'),(2,'Ashby','North'),(3,'Kelso','South'),(4,'Wick','South'),(5,'Marlow','East'),(6,'Tring','East');
insert into ground values (1,'Harbour Park',12000,1),(2,'Mill Lane',8000,2),(3,'The Meadow',15500,3),(4,'Cliff Road',6400,4),(5,'Old Quarry',2200,5),(6,'Canal End',900,5);
insert into club values (1,'Dunmore Rovers',1,1,1889,null),(2,'Ashby United',2,2,1902,null),(3,'Kelso Town',3,3,1895,null),(4,'Wick Wanderers',4,4,1911,null),(5,'Marlow Athletic',5,5,1920,null),(6,'Rovers Reserves',1,1,1950,1),(7,'Rovers Juniors',1,6,1972,6),(8,'Kelso Colts',3,null,1988,3);
insert into coach values (1,'Ted Munro','1950-04-02',1,null),(2,'Ian Pike','1962-08-11',2,1),(3,'Rob Stark','1971-01-25',3,2),(4,'Lou Hart','1978-06-30',4,1),(5,'Sam Frost','1985-12-09',5,3),(6,'Val Reed','1990-03-17',6,3),(7,'Jo Blunt','1982-10-05',null,null);
insert into player select i, (array['Al Boyd','Ben Cole','Cy Drew','Dan Ells','Ed Finn','Flo Gray','Gil Hume','Hal Innes','Ike Jarvis','Jed Knox','Ken Lowe','Les Moss','Max Nunn','Ned Oake','Ola Park','Pat Quill','Ray Shaw','Sid Tate','Tom Usher','Vic West'])[i],
 (array['keeper','defender','midfielder','forward'])[1+i%4], 1+(i*3)%6, i%5=0, 165+(i*13)%33, date '1988-02-01'+(i*i*71)%5000, 1+(i*7)%6 from generate_series(1,20) i;
insert into fixture select i, 1+(i*2)%5, 1+(i*2+1+i%4)%5, (array['Abbott','Bright','Crane'])[1+i%3], date '2024-08-10'+i*7, (i*5)%4, (i*7)%3, 1+(i*2)%5 from generate_series(1,40) i;
insert into goal select i, 1+(i*3)%40, 1+(i*i+i)%17, case when i%3<>0 then 1+(i*5)%18 end, 1+(i*17)%90 from generate_series(1,75) i;
insert into move select 1+(i*3)%18, 1+i%6, 1+(i*2+1)%6, date '2021-01-05'+i*61, (i*37)%90*1000 from generate_series(1,24) i where 1+i%6<>1+(i*2+1)%6;
insert into rivalry values (1,2,1905),(2,1,1905),(3,4,1920),(4,3,1920),(1,3,1930),(5,1,1950);
