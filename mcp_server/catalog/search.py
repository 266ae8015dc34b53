"""Finding what a database holds by words of names and comments.

PostgreSQL finds what any of the words occurs in; which of that answers best is decided here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.database.catalog import nearest
from mcp_server.nl2sql.database.identifiers import written

WORDS_MAX = 12
HITS_READ = 201
"""Of tables and views, and of everything else."""
NAMES_READ = 4000
NEAR_COMPARED = 200
COLUMNS_SHOWN = 12
LABELS_SHOWN = 8
COMMENT_CHARACTERS = 100
BETWEEN = "\x1f"
"""Stands between the name of a column and its type."""

# Objects of users have 16384 and more for their oid: the others are not looked at.
_OWN = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_FITS = "ilike any (%(like)s::text[])"
# As ILIKE, which takes half as long again, and there are many; the patterns are in lower case.
_COLUMN_FITS = "lower(a.attname::text) like any (%(like)s::text[])"
_IN_SCHEMA = "(%(schema)s::text is null or n.nspname = %(schema)s)"
_NOT_OF_AN_EXTENSION = """not exists (
    select from pg_catalog.pg_depend d
    where d.classid = '{catalog}'::regclass and d.objid = {oid} and d.deptype = 'e')"""


def relations(words: int) -> str:
    """The query for tables and views that any of so many words speaks for, the likeliest first.

    First it counts what speaks for each, which takes little, and then looks at the best alone.
    """

    def points(what: str, each: int) -> str:
        return " + ".join(
            f"{each} * ({what} ilike (%(like)s::text[])[{at + 1}])::int4" for at in range(words)
        )

    return f"""
with hits (oid, points) as (
    select c.oid, {points("c.relname", 8)} from pg_catalog.pg_class c
    where c.oid >= 16384 and c.relname {_FITS}
    union all
    select a.attrelid, max({points("a.attname", 3)}) from pg_catalog.pg_attribute a
    where a.attrelid >= 16384 and a.attnum > 0 and not a.attisdropped and {_COLUMN_FITS}
    group by 1
    union all
    select s.objoid, max({points("left(s.description, 1000)", 2)})
    from pg_catalog.pg_description s
    where s.classoid = 'pg_class'::regclass and left(s.description, 1000) {_FITS}
    group by 1
    union all
    select c.oid, 1 from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname {_FITS} and {_OWN}),
best as (
    select c.oid, n.nspname, c.relname, c.relkind, c.reltuples, sum(hits.points) as points
    from hits
    join pg_catalog.pg_class c on c.oid = hits.oid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and {_OWN}
      and {_IN_SCHEMA}
    group by 1, 2, 3, 4, 5
    order by points desc, length(c.relname), 2, 3
    limit {HITS_READ})
select c.nspname::text, c.relname::text,
       case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view'
                      when 'm' then 'materialized view' else 'foreign table' end,
       nullif(c.reltuples, -1)::int8, left(obj_description(c.oid, 'pg_class'), 300),
       array(select a.attname::text || chr(31) || format_type(a.atttypid, a.atttypmod)
             from pg_catalog.pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
               and {_COLUMN_FITS} order by a.attnum limit {COLUMNS_SHOWN}),
       array(select a.attname::text || chr(31) || format_type(a.atttypid, a.atttypmod)
             from pg_catalog.pg_description s
             join pg_catalog.pg_attribute a on a.attrelid = s.objoid and a.attnum = s.objsubid
             where s.objoid = c.oid and s.classoid = 'pg_class'::regclass and s.objsubid > 0
               and not {_COLUMN_FITS} and left(s.description, 1000) {_FITS}
             order by a.attnum limit {COLUMNS_SHOWN})
from best c
where {_NOT_OF_AN_EXTENSION.format(catalog="pg_class", oid="c.oid")}
order by c.points desc, 1, 2
"""


OTHERS = f"""
select * from (
    select 'enum' as kind, n.nspname::text as schema, t.typname::text as name,
           array(select left(e.enumlabel::text, 100) from pg_catalog.pg_enum e
                 where e.enumtypid = t.oid order by e.enumsortorder limit {LABELS_SHOWN + 1})
               as more,
           left(obj_description(t.oid, 'pg_type'), 300) as comment
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where t.oid >= 16384 and t.typtype = 'e' and {_OWN} and {_IN_SCHEMA}
      and (t.typname {_FITS}
           or exists (select from pg_catalog.pg_enum e
                      where e.enumtypid = t.oid and e.enumlabel {_FITS}))
    union all
    select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end,
           n.nspname::text, p.proname::text,
           array[left(pg_get_function_arguments(p.oid), 300),
                 left(pg_get_function_result(p.oid), 300)],
           left(obj_description(p.oid, 'pg_proc'), 300)
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.oid >= 16384 and {_OWN} and {_IN_SCHEMA}
      and (p.proname {_FITS}
           or left(obj_description(p.oid, 'pg_proc'), 1000) {_FITS})
      and {_NOT_OF_AN_EXTENSION.format(catalog="pg_proc", oid="p.oid")}
    union all
    select 'extension', n.nspname::text, e.extname::text, array[e.extversion],
           left(obj_description(e.oid, 'pg_extension'), 300)
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
    where e.extname <> 'plpgsql' and %(schema)s::text is null and e.extname {_FITS}
) found order by kind, schema, name limit {HITS_READ}
"""

NAMES = f"""
select distinct c.relname::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and {_OWN} and {_IN_SCHEMA}
limit {NAMES_READ}
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found. columns: name and type of those whose names fit.

    told: of those whose comments do. more: labels, arguments and result, or a version.
    """

    kind: str
    schema: str
    name: str
    comment: str | None
    rows: int | None = None
    columns: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What is said of it: its name as it must be written, and why it was found."""
        said = f"{self.kind} {self._label}{self._details}"
        if self.comment:
            comment = " ".join(self.comment.split())
            cut = comment[: COMMENT_CHARACTERS - 1] + "…"
            said += f" -- {comment if len(comment) <= COMMENT_CHARACTERS else cut}"
        return said

    @property
    def _label(self) -> str:
        alone = self.kind == "extension"
        return written(self.name) if alone else written(self.schema, self.name)

    @property
    def _details(self) -> str:
        match self.kind:
            case "enum":
                shown = [" ".join(label.split()) for label in self.more[:LABELS_SHOWN]]
                rest = ", …" if len(self.more) > LABELS_SHOWN else ""
                return f": {', '.join(shown)}{rest}"
            case "function" | "procedure" | "aggregate":
                arguments, *result = self.more
                returns = f" returns {result[0]}" if result and result[0] else ""
                return f"({arguments}){returns}"
            case "extension":
                return f" {self.more[0]}"
            case _:
                rows = "" if self.rows is None else f" ~{self.rows} rows"
                shown = [_column(each) for each in (*self.columns, *self.told)][:COLUMNS_SHOWN]
                return rows + (f": {', '.join(shown)}" if shown else "")


def words_of(query: str) -> list[str]:
    """The words to look for, in lower case and without the ending of a plural."""
    found = [each.lower() for each in re.findall(r"[^\W_]+", query)]
    return list(dict.fromkeys(map(_singular, found)))[:WORDS_MAX]


def patterns(words: Iterable[str]) -> list[str]:
    """What a name or comment must be like to have one of the words in it."""
    return ["%" + word.replace("\\", r"\\").replace("%", r"\%") + "%" for word in words]


def ranked(hits: Iterable[Hit], words: Sequence[str]) -> list[Hit]:
    """The hits, those first that most of the words speak for; equal ones by their names."""
    scored = [(_score(hit, words), hit) for hit in hits]
    return [hit for _, hit in sorted(scored, key=lambda one: (-one[0], one[1].schema, one[1].name))]


def near(query: str, names: Sequence[str]) -> list[str]:
    """Names most like the query, where it finds nothing."""
    pairs = _pairs(query)
    likely = sorted(names, key=lambda name: -len(pairs & _pairs(name)))[:NEAR_COMPARED]
    return [written(each) for each in nearest(query, likely)]


def _pairs(text: str) -> set[str]:
    """The letters beside each other: what two names share of them takes little to see."""
    low = text.lower()
    return {low[at : at + 2] for at in range(len(low) - 1)}


def _score(hit: Hit, words: Sequence[str]) -> float:
    """For each word the best place where it stands: a name, a column, a comment, a schema."""
    name = _parts(hit.name)
    columns = [_parts(each.partition(BETWEEN)[0]) for each in hit.columns]
    comment = (hit.comment or "").lower()
    score = 0.0
    for word in words:
        score += max(
            10.0 if name == [word] else 0.0,
            6.0 if word in name else 0.0,
            4.0 if word in hit.name.lower() else 0.0,
            3.0 if any(word in each for each in columns) else 0.0,
            2.0 if any(word in "_".join(each) for each in columns) else 0.0,
            2.0 if any(word in label.lower() for label in hit.more) else 0.0,
            1.5 if word in comment or hit.told else 0.0,
            1.0 if word in hit.schema.lower() else 0.0,
        )
    return score - len(name) / 100


def _parts(name: str) -> list[str]:
    """The words that a name is made of: of `orderItems` and `order_items` the same."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [_singular(each.lower()) for each in re.findall(r"[^\W_]+", apart)]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _column(told: str) -> str:
    name, _, type_ = told.partition(BETWEEN)
    return f"{written(name)} {type_}"
