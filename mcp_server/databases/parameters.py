"""Values of $1, $2, ... as the database of a statement takes them."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from psycopg import AsyncConnection, generators, pq
from psycopg.errors import error_from_result

from mcp_server.rendering import as_text

Parameter = str | int | float | bool | None | list[Any] | dict[str, Any]

ARRAYS = """
select t.oid::pg_catalog.int8,
       e.typname operator(pg_catalog.=) any (array['json', 'jsonb']::pg_catalog.name[])
from pg_catalog.pg_type t
join pg_catalog.pg_type e on e.oid operator(pg_catalog.=) t.typelem
where t.oid operator(pg_catalog.=) any (%s::pg_catalog.oid[])
  and t.typcategory operator(pg_catalog.=) 'A'
"""


async def as_texts(
    connection: AsyncConnection[Any], statement: bytes, parameters: Sequence[Parameter]
) -> list[bytes | None]:
    """Parameters as text of unknown type: the server infers their types from where they stand.

    A list is written as an array where the server takes it for one, which it is asked about.
    Raises psycopg.Error for what is wrong with the statement.
    """
    types: list[int] = []
    arrays: dict[int, bool] = {}
    if any(isinstance(value, list) for value in parameters):
        types = await _types_of(connection, statement)
        arrays = dict(await (await connection.execute(ARRAYS, [types])).fetchall())
    texts = [
        as_text(value, array=type_ in arrays, of_json=arrays.get(type_, False))
        for value, type_ in zip_longest(parameters, types[: len(parameters)], fillvalue=0)
    ]
    return [None if text is None else text.encode() for text in texts]


async def _types_of(connection: AsyncConnection[Any], statement: bytes) -> list[int]:
    connection.pgconn.send_prepare(b"", statement)
    for result in await connection.wait(generators.execute(connection.pgconn)):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding="utf-8")
    connection.pgconn.send_describe_prepared(b"")
    (found,) = await connection.wait(generators.execute(connection.pgconn))
    return [found.param_type(number) for number in range(found.nparams)]
