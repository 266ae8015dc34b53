"""Statements of our own run nothing that the owner of a database has put in their way."""

import psycopg
import pytest

from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.errors import RefusedError

TABLES = """
create table sailor (id int primary key, name text, boat int);
insert into sailor values (1, 'Ada', 3), (2, 'Bob', 4);
create schema evil;
"""
SIGNATURES = [("oid", "oid"), ("name", "name"), ("name", "text"), ("text", "text")]
OPERATORS = ["=", "<>", "~", "!~", "~~", "!~~", ">", ">=", "<"]
FUNCTIONS = """
create function evil.format_type(oid, int) returns text language plpgsql volatile as
  $$ begin raise exception 'trapped'; return 'x'; end $$;
create function evil.obj_description(oid, text) returns text language plpgsql volatile as
  $$ begin raise exception 'trapped'; return 'x'; end $$;
create function evil.has_schema_privilege(oid, text) returns bool language plpgsql volatile as
  $$ begin raise exception 'trapped'; return true; end $$;
create function evil.current_schemas(bool) returns name[] language plpgsql volatile as
  $$ begin raise exception 'trapped'; return '{evil}'; end $$;
create function evil.quote_ident(text) returns text language plpgsql volatile as
  $$ begin raise exception 'trapped'; return $1; end $$;
create table evil.pg_class (oid oid); create table evil.pg_proc (oid oid);
"""


@pytest.mark.parametrize(
    "path", ["evil, pg_catalog, public", "evil, public", "pg_catalog, evil, public"]
)
def test_neither_errors_nor_questions_run_what_stands_in_for_postgresql(
    fresh_dsn: str, path: str
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as owner:
        owner.execute(TABLES)
        for left, right in SIGNATURES:
            name = f"evil.t_{left}_{right}"
            owner.execute(
                f"create function {name}({left}, {right}) returns bool language plpgsql volatile "
                f"as $$ begin raise exception 'trapped'; return true; end $$".encode()
            )
            for operator in OPERATORS:
                owner.execute(
                    f"create operator evil.{operator} (leftarg = {left}, rightarg = {right}, "
                    f"function = {name})".encode()
                )
        owner.execute(FUNCTIONS)
        owner.execute(f"alter database {owner.info.dbname} set search_path = {path}".encode())

        reader = Reader(fresh_dsn)
        for sql in (
            "select nmae from public.sailor",
            "select * from sailorr",
            "select lenght('x')",
            "select pg_sleep(1)",
        ):
            with pytest.raises(RefusedError) as refused:
                reader.query(sql)
            assert "trapped" not in str(refused.value)
    assert Asker(fresh_dsn).ask("how many sailors are there").rows == ((2,),)
