"""The statements that hash, find and show the rows of a table.

Whoever planned a hostile table may have functions of his run where it is only read (an index on an
expression is simplified by the planner), and those could change the search path of this session.
So every name is qualified, operators too. No value is cast to text: a cast may be a tenant's
function, while `format` calls the output function of the type. Values are written as the pinned
settings say, the same on both sides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from cluster_runtime.diff.data.tables import HASH_BUCKETS, Run, TableFacts

VALUE_CHARACTERS_MAX = 1000
LINES_OF_A_BLOCK = 291
"""The most rows that a block of 8 KiB can hold (MaxHeapTuplesPerPage)."""

TABLES = r"""
select pg_catalog.format('%I.%I', n.nspname, c.relname),
       n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind = 'p',
       array(select pg_catalog.jsonb_build_array(
                        a.attname,
                        case when t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
                             then t.typname end,
                        a.attnum, a.atttypid::pg_catalog.int8,
                        case when t.typtype = 'e' then (
                                 select pg_catalog.string_agg(e.enumlabel, ',' order by e.oid)
                                   from pg_catalog.pg_enum e where e.enumtypid = t.oid)
                             when (t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace
                                   and not exists (
                                       select from pg_catalog.pg_depend d
                                        where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
                                          and d.objid = t.oid and d.deptype = 'e'))
                                  or t.typname ~ '^_?(reg|aclitem)' then null
                             else '' end)
               from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                and a.attgenerated <> 'v'
              order by a.attnum),
       array(select (select pg_catalog.jsonb_agg(a.attname order by k.place)
                       from pg_catalog.unnest(i.indkey[0:i.indnkeyatts - 1])
                            with ordinality as k (number, place)
                       join pg_catalog.pg_attribute a
                         on a.attrelid = c.oid and a.attnum = k.number)
               from pg_catalog.pg_index i
              where i.indrelid = c.oid and i.indisunique and i.indisvalid
                and i.indpred is null and i.indexprs is null
                and not exists (
                    select from pg_catalog.pg_attribute a
                     where a.attrelid = c.oid and not a.attnotnull
                       and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]))
              order by not i.indisprimary, not i.indisreplident, i.indnkeyatts, i.indexrelid),
       (coalesce((select pg_catalog.sum(pg_catalog.pg_relation_size(p.relid))
                    from pg_catalog.pg_partition_tree(c.oid) p where p.isleaf),
                 pg_catalog.pg_relation_size(c.oid)) / 8192)::pg_catalog.int8,
       array(select pg_catalog.jsonb_build_array(
                        f.oid::pg_catalog.int8,
                        case when f.relpersistence = 'p'
                             then pg_catalog.pg_relation_filenode(f.oid)::pg_catalog.int8 end)
               from pg_catalog.pg_class f
              where f.relkind = 'r' and f.oid in (
                  select p.relid from pg_catalog.pg_partition_tree(c.oid) p
                   union all select c.oid)
              order by f.oid),
       case when not pg_catalog.has_schema_privilege(n.oid, 'usage')
                 or not pg_catalog.has_table_privilege(c.oid, 'select')
            then 'the master user may not read it'
            when pg_catalog.row_security_active(c.oid)
            then 'row security hides rows of it from the master user' end
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (
       select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
          and d.deptype = 'e')
"""
"""Asked first, before anything of a tenant's is read: the search path is as it was pinned."""

Parameters = dict[str, object]


@dataclass(frozen=True, slots=True)
class TableStatements:
    """The statements about one side of a comparison.

    columns, key, ranged_by: as in `Comparison`. All take the parameter `salt`, which nobody who
    writes rows can know.
    """

    table: TableFacts
    columns: tuple[str, ...]
    key: tuple[str, ...]
    ranged_by: str | None

    def sample(self) -> sql.Composed:
        """Bounds that cut the table into ranges of about as many rows each.

        Parameters: percent, of its pages to look at; parts, an array of fractions.
        """
        return sql.SQL(
            "select pg_catalog.format('%%s', bound) from ("
            "select pg_catalog.unnest(pg_catalog.percentile_disc(%(parts)s::pg_catalog.float8[]) "
            "within group (order by {key})) as bound "
            "from {table} tablesample pg_catalog.system (%(percent)s)) bounds order by bound"
        ).format(key=self._first_key, table=self._relation)

    def count(self) -> sql.Composed:
        """How many rows there are."""
        return sql.SQL("select pg_catalog.count(*) from {}").format(self._relation)

    def summary(self) -> sql.Composed:
        """(bucket, rows, sum of digests). Parameter: bounds, where buckets are ranges."""
        hashed = sql.SQL("select {} as bucket, {} as digest from {}").format(
            self._bucket, _number(_salted(self._row)), self._relation
        )
        return sql.SQL(
            "select bucket, pg_catalog.count(*), pg_catalog.sum(digest) from ({}) hashed "
            "group by bucket"
        ).format(hashed)

    def marks(self, runs: Sequence[Run]) -> sql.Composed:
        """(identity, digest, oid of the table, ctid) of the rows in some buckets, in order.

        runs: the buckets, where they are ranges. Parameters: those of `chosen`.
        """
        if self.ranged_by is None:
            chosen = sql.SQL(
                "{} operator(pg_catalog.=) any (%(buckets)s::pg_catalog.int8[])"
            ).format(self._bucket)
            pieces = [self._marked(self._relation, chosen)]
        else:
            pieces = [self._marked(*each) for each in self._pieces(runs)]
        return _ordered(sql.SQL(" union all ").join(pieces))

    def marks_in_blocks(self) -> sql.Composed:
        """The same of the rows in some blocks. Parameter: blocks."""
        places = sql.SQL(
            "t.ctid operator(pg_catalog.=) any (array(select "
            "pg_catalog.format('(%%s,%%s)', block, line)::pg_catalog.tid "
            "from pg_catalog.unnest(%(blocks)s::pg_catalog.int8[]) block, "
            f"pg_catalog.generate_series(1, {LINES_OF_A_BLOCK}) line))"
        )
        return _ordered(self._marked(self._relation, places))

    def rows(self) -> sql.Composed:
        """(oid of the table, ctid, values) of rows. Parameter: places, an array of ctids."""
        return sql.SQL(
            "select t.tableoid::pg_catalog.int8, t.ctid, {} from {} "
            "where t.ctid operator(pg_catalog.=) any (%(places)s::pg_catalog.tid[])"
        ).format(self._values, self._relation)

    def first_rows(self) -> sql.Composed:
        """(values) of some rows. Parameter: limit."""
        return sql.SQL("select {} from {} limit %(limit)s").format(self._values, self._relation)

    @property
    def _relation(self) -> sql.Composed:
        # The rows of partitions are those of their table; those of other children are their own.
        only = sql.SQL("" if self.table.partitioned else "only ")
        return only + sql.SQL("{} as t").format(sql.Identifier(self.table.schema, self.table.name))

    @property
    def _first_key(self) -> sql.Composed:
        return _column(self.key[0])

    @property
    def _row(self) -> sql.Composed:
        return _text(self.columns)

    @property
    def _identity(self) -> sql.Composed:
        return sql.SQL("pg_catalog.md5({})").format(_text(self.key) if self.key else self._row)

    @property
    def _bucket(self) -> sql.Composed:
        if self.ranged_by is not None:
            return sql.SQL("pg_catalog.width_bucket({}, %(bounds)s::{}[])").format(
                self._first_key, _catalog_type(self.ranged_by)
            )
        return sql.SQL("{} operator(pg_catalog.&) {}").format(
            _number(_text(self.key) if self.key else self._row),
            sql.SQL(f"{HASH_BUCKETS - 1}::pg_catalog.int8"),
        )

    @property
    def _values(self) -> sql.Composed:
        # A composite value of nulls is no null: `is not distinct from null` tells them apart,
        # and is no operator.
        value = sql.SQL(
            "case when {column} is not distinct from null then null "
            "else pg_catalog.left(pg_catalog.format('%%s', {column}), {most}) end"
        )
        each = [
            value.format(column=_column(name), most=sql.Literal(VALUE_CHARACTERS_MAX + 1))
            for name in self.columns
        ]
        return sql.SQL("array[{}]::pg_catalog.text[]").format(sql.SQL(", ").join(each))

    def _marked(self, table: sql.Composable, chosen: sql.Composable) -> sql.Composed:
        return sql.SQL(
            "select {} as identity, pg_catalog.md5({}) as digest, t.tableoid::pg_catalog.int8, "
            "t.ctid from {} where {}"
        ).format(self._identity, _salted(self._row), table, chosen)

    def _pieces(self, runs: Sequence[Run]) -> Iterator[tuple[sql.Composable, sql.Composable]]:
        """What to read, and which rows of it: for an open end each, and for all between."""
        kind = _catalog_type(str(self.ranged_by))
        above = sql.SQL("{} operator(pg_catalog.>=) {}")
        below = sql.SQL("{} operator(pg_catalog.<) {}")
        low = sql.SQL("%(low)s::{}").format(kind)
        high = sql.SQL("%(high)s::{}").format(kind)
        for run in runs:
            if run.low is None and run.high is None:
                yield self._relation, sql.SQL("true")
            elif run.low is None:
                yield self._relation, below.format(self._first_key, high)
            elif run.high is None:
                yield self._relation, above.format(self._first_key, low)
        if any(run.low is not None and run.high is not None for run in runs):
            # `unnest` of several arrays is syntax, which always means pg_catalog's.
            table = sql.SQL(
                "unnest(%(lows)s::{kind}[], %(highs)s::{kind}[]) as piece (low, high), {table}"
            ).format(kind=kind, table=self._relation)
            yield (
                table,
                sql.SQL("{} and {}").format(
                    above.format(self._first_key, sql.SQL("piece.low")),
                    below.format(self._first_key, sql.SQL("piece.high")),
                ),
            )


def chosen(buckets: Sequence[int], runs: Sequence[Run], bounds: Sequence[str]) -> Parameters:
    """The parameters of `marks`. bounds: where buckets are ranges, as PostgreSQL writes them."""
    if not runs:
        return {"buckets": list(buckets)}
    between = [(run.low, run.high) for run in runs]
    lows = [bounds[low] for low, high in between if low is not None and high is not None]
    highs = [bounds[high] for low, high in between if low is not None and high is not None]
    found: Parameters = {"lows": lows, "highs": highs}
    for low, high in between:
        if low is None and high is not None:
            found["high"] = bounds[high]
        elif low is not None and high is None:
            found["low"] = bounds[low]
    return found


def _ordered(marks: sql.Composable) -> sql.Composed:
    return sql.SQL(
        'select * from ({}) marks order by identity collate pg_catalog."C", '
        'digest collate pg_catalog."C"'
    ).format(marks)


def _column(name: str) -> sql.Composed:
    return sql.SQL("t.{}").format(sql.Identifier(name))


def _text(columns: Sequence[str]) -> sql.Composed:
    """The text of a row of columns, in which no two rows are the same unless their values are."""
    return sql.SQL("pg_catalog.format('%%s', row({}))").format(
        sql.SQL(", ").join(map(_column, columns))
    )


def _salted(text: sql.Composable) -> sql.Composed:
    return sql.SQL("%(salt)s::pg_catalog.text operator(pg_catalog.||) {}").format(text)


def _number(text: sql.Composable) -> sql.Composed:
    """64 bits that say what a text is, to be added up."""
    return sql.SQL(
        'pg_catalog.hashtextextended(pg_catalog.md5({}) collate pg_catalog."C", 0)'
    ).format(text)


def _catalog_type(name: str) -> sql.Composed:
    return sql.SQL("{}").format(sql.Identifier("pg_catalog", name))
