"""What the database's catalog says about the names in one statement. Nothing is cached here:
the look-ups take well under a millisecond and are never out of date.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster_runtime.moved import renamed
from mcp_server.nl2sql.database.identifiers import written
from mcp_server.nl2sql.database.steps import Fetch, Steps

FUNCTION_NAMES = """
select distinct p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any (current_schemas(true)) and p.provolatile <> 'v'
"""

RELATIONS = """
select n.nspname, c.relname, n.nspname = any (current_schemas(true)),
       array(select a.attname::text from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname = any (%s)
"""

USER_RELATIONS = """
select n.nspname, c.relname, n.nspname = any (current_schemas(true)),
       array(select a.attname::text from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%%'
  and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
order by 1, 2
limit %s
"""

SYSTEM_COLUMNS = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"})
MAX_RELATIONS_READ = 5000

if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, Facts="KnownRelations")


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view, and whether its name alone finds it."""

    schema: str
    name: str
    on_search_path: bool
    columns: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name as a query must write it."""
        return written(self.name) if self.on_search_path else self.full_label

    @property
    def full_label(self) -> str:
        """The same, with its schema in any case."""
        return written(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class KnownRelations:
    """The catalog's answers for the names of one statement."""

    relations: dict[str, list[Relation]]

    def relation(self, schema: str | None, name: str) -> Relation | None:
        """The relation that a name in a query means; None if there is none."""
        for relation in self.relations.get(name, ()):
            if relation.schema == schema if schema else relation.on_search_path:
                return relation
        return None


def look_up(tables: Collection[str]) -> Steps[KnownRelations]:
    """The relations of these names."""
    relations: dict[str, list[Relation]] = {}
    if tables:
        for row in (yield Fetch(RELATIONS, (sorted(tables),))).rows:
            relation = Relation(row[0], row[1], row[2], tuple(row[3]))
            relations.setdefault(relation.name, []).append(relation)
    return KnownRelations(relations)


def user_relations() -> Steps[list[Relation]]:
    """Every table and view that the role may read, for suggestions."""
    rows = (yield Fetch(USER_RELATIONS, (MAX_RELATIONS_READ,))).rows
    return [Relation(schema, name, seen, tuple(columns)) for schema, name, seen, columns in rows]


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that look most like `name`, best first; none when nothing is near."""
    candidates = list(dict.fromkeys(known))
    wanted = name.lower()
    words = _words(wanted)

    def likeness(other: str) -> float:
        low = other.lower()
        ratio = difflib.SequenceMatcher(None, wanted, low).ratio()
        theirs = _words(low)
        shared = len(words & theirs) / len(words | theirs) if words | theirs else 0.0
        inside = 0.75 if min(len(wanted), len(low)) >= 3 and (wanted in low or low in wanted) else 0
        return max(ratio, shared + 0.2 if shared else 0, inside)

    scored = sorted(((likeness(other), other) for other in candidates), key=lambda p: -p[0])
    return [other for score, other in scored[:count] if score >= 0.55]


def _words(name: str) -> set[str]:
    return {word for word in name.replace("_", " ").replace("-", " ").split() if word}
