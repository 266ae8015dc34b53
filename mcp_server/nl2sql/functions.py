"""Which functions a read may call: decided from PostgreSQL's own word on each, its volatility.

A function that writes, sleeps, locks, moves a sequence, or reads the server's files is declared
VOLATILE, because the planner may not run it twice or skip it; STABLE and IMMUTABLE ones cannot
change the database (PL/pgSQL and SQL functions of these classes are held to it by the server).
The two lists below are the exceptions in both directions.
Source: PostgreSQL manual, "Function Volatility Categories"; pg_proc.provolatile.
"""

from collections.abc import Iterable
from dataclasses import dataclass


def words(text: str) -> frozenset[str]:
    """A set of names, written as a text with spaces between them."""
    return frozenset(text.split())


# Volatile because the answer differs each time, and nothing else happens.
HARMLESS_VOLATILE = words(
    """
    random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
    array_sample array_shuffle bernoulli system current_query
    pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size
    pg_partition_tree pg_partition_ancestors pg_is_in_recovery
    """
)

# Stable or immutable, yet they run SQL given as text, go round the check of table names, or
# assign a transaction id.
REFUSED_STABLE = words(
    """
    database_to_xml database_to_xml_and_xmlschema database_to_xmlschema
    schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema
    table_to_xml table_to_xml_and_xmlschema table_to_xmlschema
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema
    txid_current pg_current_xact_id pg_cursor pg_prepared_statement
    pg_get_replication_slots pg_tablespace_location pg_relation_filepath pg_config
    connectby crosstab crosstab2 crosstab3 crosstab4 crosstabn normal_rand
    xpath_table dblink_current_query dblink_get_connections
    """
)

# Words that PostgreSQL reserves: unquoted, they are grammar and never a call.
RESERVED_WORDS = words(
    """
    all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create current_catalog current_date current_role current_time current_timestamp
    current_user default deferrable desc distinct do else end except false fetch for foreign from
    grant group having in initially intersect into lateral leading limit localtime localtimestamp
    not null offset on only or order placing primary references returning select session_user some
    symmetric system_user table then to trailing true union unique user using variadic when where
    window with
    """
)

# Words that grammar may put before an opening bracket though, in this or an older version of
# PostgreSQL, a function may have the name. The catalog is asked first.
GRAMMAR_WORDS = words(
    """
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest
    grouping inout int integer interval json json_array json_arrayagg json_exists json_object
    json_objectagg json_query json_scalar json_serialize json_table json_value least merge_action
    national nchar none normalize nullif numeric out overlay position precision real row setof
    smallint substring time timestamp treat trim values varchar xmlattributes xmlconcat xmlelement
    xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
    over filter by rollup cube sets materialized recursive within key join like ilike similar is
    escape zone rows range groups repeatable first next ordinality columns path passing nested
    varying keep omit without format encoding inner outer left right full cross natural isnull
    notnull overlaps collation
    """
)


@dataclass(frozen=True, slots=True)
class Function:
    """One overload as the catalog describes it; see FUNCTIONS in `catalog.py`."""

    name: str
    schema: str
    on_search_path: bool
    volatile: bool  # of itself or, for an aggregate, of a function that it is made of
    procedure: bool


def objection(overloads: Iterable[Function], schema: str | None) -> str | None:
    """Why a name may not be called, or None. Any overload that could be meant may object."""
    for function in overloads:
        if function.schema != schema if schema else not function.on_search_path:
            continue
        label = f"{function.schema}.{function.name}"
        if function.procedure:
            return f"{label} is a procedure"
        if function.name in REFUSED_STABLE:
            return f"{label} reads by a name or a query in a string, which cannot be checked"
        if function.volatile and not (
            function.schema == "pg_catalog" and function.name in HARMLESS_VOLATILE
        ):
            return f"{label} may have side effects (the catalog calls it VOLATILE)"
    return None
