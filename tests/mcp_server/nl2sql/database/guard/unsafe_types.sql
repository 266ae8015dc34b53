-- Types whose input runs the CHECK of a domain that takes a lock; see traps.sql.
create schema loud; grant usage on schema loud to public;
create function loud.touch(int) returns bool language plpgsql volatile as $$ begin perform pg_advisory_lock(4711); return true; end $$;
create domain loud.number as int check (loud.touch(value));
create domain loud.again as loud.number;
create type loud.row as (a int, b loud.number);
create type loud.deep as (a int, r loud.row, l loud.again[]);
create type loud.span as range (subtype = loud.number);
create table loud.kept (id int, n loud.number, r loud.row, l loud.number[], s loud.span);
create function loud.takes(loud.row) returns int language sql stable return 1;
create function loud.inside() returns int language sql stable as $$ select ('(1,2)'::loud.row).a $$;
create function loud.outside() returns int language sql stable as $$ select count(*)::int from loud.kept $$;
create function loud.many(variadic loud.number[]) returns int language sql stable return 1;
grant select on loud.kept to public;
