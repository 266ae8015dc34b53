"""Which functions a read may call: decided on the facts of each, by identity and volatility.

A function that writes, sleeps, locks, moves a sequence, or reads the server's files is declared
VOLATILE, because the planner may not run it twice or skip it; STABLE and IMMUTABLE ones cannot
change the database (PL/pgSQL and SQL functions of these classes are held to it by the server).
PostgreSQL's own functions and those in C, which only a superuser can make, are believed; the
lists below are the exceptions in both directions. Of a function in SQL the body is looked into.
What one in another language does inside cannot be known; see `_objection_to_the_unknown`.
Source: PostgreSQL manual, "Function Volatility Categories"; pg_proc.provolatile.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mcp_server.nl2sql.database.guard.references import FIRST_USER_OID


def words(text: str) -> frozenset[str]:
    """A set of names, written as a text with spaces between them."""
    return frozenset(text.split())


# Volatile because the answer differs each time, and nothing else happens.
HARMLESS_VOLATILE = words(
    """
    random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
    array_sample array_shuffle current_query
    pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_database_size
    pg_partition_tree pg_partition_ancestors pg_is_in_recovery
    """
)

# The same, of functions of extensions, which are in C.
HARMLESS_IN_EXTENSIONS = words(
    """
    pg_stat_statements pg_stat_statements_info uuid_generate_v1 uuid_generate_v1mc
    uuid_generate_v4 gen_salt gen_random_bytes gen_random_uuid
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
    cursor_to_xml cursor_to_xmlschema
    txid_current pg_current_xact_id pg_cursor pg_prepared_statement
    pg_get_replication_slots pg_tablespace_location pg_relation_filepath pg_config
    connectby crosstab crosstab2 crosstab3 crosstab4 normal_rand
    xpath_table dblink_current_query dblink_get_connections
    """
)

# They take a type by name or number and run its input function, so a domain's CHECK.
TAKING_A_TYPE = words(
    """
    pg_input_is_valid pg_input_error_info array_in domain_in multirange_in range_in record_in
    """
)

PRINTING_SETTINGS = words("client_min_messages debug_print_rewritten debug_pretty_print")

BELIEVED_LANGUAGES = frozenset({"c", "internal"})
"""Only a superuser makes functions in them."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the catalog describes it; see FUNCTIONS in `catalog_queries.py`."""

    oid: int
    schema: str
    name: str
    kind: str  # f, a (aggregate), w (window) or p (procedure)
    volatility: str  # i, s or v
    language: str
    security_definer: bool
    settings: tuple[str, ...]  # of its own, as name=value
    defaults: str | None  # of its parameters, as a tree
    resolved_body: bool  # BEGIN ATOMIC or RETURN: the names in it are resolved once and for all
    source: str | None  # of those that are not PostgreSQL's own
    owner: str
    owner_is_trusted: bool  # has the rights of the database's owner, or is who asks
    parts: tuple[int, ...]  # functions that an aggregate is made of
    state_type: int
    sort_operator: int

    @property
    def label(self) -> str:
        """The name, with its schema."""
        return f"{self.schema}.{self.name}"

    @property
    def built_in(self) -> bool:
        """Whether it came with PostgreSQL."""
        return self.oid < FIRST_USER_OID

    @property
    def can_be_looked_into(self) -> bool:
        """In SQL, with a body that means the same to whoever asks as to whoever runs it.

        A text body of a SECURITY DEFINER function is resolved by what its owner may see.
        """
        if self.language != "sql" or self.kind != "f":
            return False
        return self.resolved_body or not (self.security_definer or self._becomes_another_role)

    @property
    def _becomes_another_role(self) -> bool:
        return self._sets({"role", "session_authorization"})

    def _sets(self, names: AbstractSet[str]) -> bool:
        return any(setting.partition("=")[0] in names for setting in self.settings)

    @property
    def hides(self) -> bool:
        """Whether it keeps the server from printing what it does."""
        return self._sets(PRINTING_SETTINGS)

    @property
    def runs_as_another(self) -> bool:
        """Whether its body runs with rights other than the caller's."""
        return self.security_definer or self._becomes_another_role

    @property
    def search_path(self) -> str | None:
        """The search path that it sets for itself."""
        for setting in self.settings:
            name, _, value = setting.partition("=")
            if name == "search_path":
                return value
        return None


def objection(function: Function, *, unsafe_types: bool = False) -> str | None:
    """Why a function may not be called, or None; its body, if it is in SQL, apart.

    unsafe_types: the database holds a type whose input runs what a read may not.
    """
    if function.kind == "p":
        return f"{function.label} is a procedure"
    known = function.built_in or function.language in BELIEVED_LANGUAGES
    if known and function.name in REFUSED_STABLE:
        return f"{function.label} reads by a name or a query in a string, which cannot be checked"
    if unsafe_types and function.built_in and function.name in TAKING_A_TYPE:
        return f"{function.label} may run the CHECK of a domain that may have side effects"
    harmless = known and function.name in (
        HARMLESS_VOLATILE if function.built_in else HARMLESS_IN_EXTENSIONS
    )
    if function.volatility == "v" and not harmless:
        return f"{function.label} may have side effects (the catalog calls it VOLATILE)"
    return None


def objection_to_the_unknown(function: Function, with_effects: AbstractSet[str]) -> str | None:
    """Why a function may not be called of which nobody can tell what it does inside, or None.

    It is declared STABLE or IMMUTABLE, so the server lets it write nothing. It must be of an owner
    to whom the data belongs, for it runs with the reader's rights; and not with rights of its own,
    which the reader's role could not bound. At last it may not name what has effects by itself.

    with_effects: names of PostgreSQL's own functions that no read may call.
    """
    what = f"{function.label} is written in {function.language}, so what it does cannot be checked"
    if function.runs_as_another:
        return (
            f"{what}, and it runs with the rights of {function.owner} (SECURITY DEFINER); one in "
            "SQL with BEGIN ATOMIC can be checked"
        )
    if function.hides:
        return f"{what}, and it sets client_min_messages or debug_*, which would hide it"
    if not function.owner_is_trusted:
        return f"{what}, and its owner {function.owner} has no rights over this database"
    named = set(_WORD.findall((function.source or "").lower())) & with_effects
    if named:
        return (
            f"{function.label} is not declared VOLATILE, yet its body names "
            f"{', '.join(sorted(named)[:3])}, which may have side effects"
        )
    return None


def has_effects(name: str, volatility: str) -> bool:
    """Whether a function of PostgreSQL's own is one that no read may call."""
    return name in REFUSED_STABLE or (volatility == "v" and name not in HARMLESS_VOLATILE)


_WORD = re.compile(r"[a-z_][a-z0-9_$]*")
