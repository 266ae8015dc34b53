"""What a query calls and reads, from the tree that PostgreSQL resolved; and whether it only reads.

Pure. The object identifiers found here are judged in `functions.py`, by facts that `what_runs.py`
reads from the catalog.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from mcp_server.nl2sql.database.guard.node_fields import (
    FAMILY,
    FUNCTION,
    MADE,
    NODES,
    OPERATOR,
    RELATION,
    SAMPLER,
    TYPE,
)
from mcp_server.nl2sql.database.guard.query_tree import (
    Node,
    TreeError,
    Value,
    nodes,
    oids,
    parse,
    parse_printed,
)

FIRST_USER_OID = 16384
"""Objects below were made by initdb: they are PostgreSQL's own. FirstNormalObjectId."""

KEPT_TREES, KEPT_CHARACTERS = 256, 20_000

SELECT, UTILITY = "1", "6"
COMMANDS = {"2": "UPDATE", "3": "INSERT", "4": "DELETE", "5": "MERGE"}
RTE_RELATION, RTE_SUBQUERY = "0", "1"
SHOW = "VARIABLESHOWSTMT"


KINDS = (FUNCTION, OPERATOR, FAMILY, TYPE, MADE, SAMPLER, RELATION)


class NoReadError(ValueError):
    """The tree is of a statement that does more than read, or of one that nobody classified."""


@dataclass(slots=True)
class References:
    """Object identifiers, each in the order in which they were met.

    types: of values that are read or compared; made: of those that are made, so that their input
    function or CHECK runs. tables: relations that the query itself names; relations: those behind
    views too, but not those behind PostgreSQL's own views, which are read as a whole.
    """

    functions: dict[int, None] = field(default_factory=dict)
    operators: dict[int, None] = field(default_factory=dict)
    families: dict[int, None] = field(default_factory=dict)
    types: dict[int, None] = field(default_factory=dict)
    made: dict[int, None] = field(default_factory=dict)
    samplers: dict[int, None] = field(default_factory=dict)
    relations: dict[int, None] = field(default_factory=dict)
    tables: dict[int, None] = field(default_factory=dict)

    def of(self, kind: str) -> dict[int, None]:
        """Where the identifiers of a kind are kept; see `node_fields.py`."""
        match kind:
            case "function":
                return self.functions
            case "operator":
                return self.operators
            case "family":
                return self.families
            case "type":
                return self.types
            case "made":
                return self.made
            case "sampler":
                return self.samplers
            case _:
                return self.relations


def of_statement(printed: str) -> References:
    """What a statement refers to, from the tree in a notice. It is not to be changed.

    Raises NoReadError for anything but a SELECT or a SHOW, TreeError.
    """
    return _kept(printed) if len(printed) <= KEPT_CHARACTERS else _of_statement(printed)


def _of_statement(printed: str) -> References:
    tree = parse_printed(printed)
    queries = tree if isinstance(tree, list) else [tree]
    if len(queries) != 1 or not isinstance(queries[0], Node) or queries[0].name != "QUERY":
        raise TreeError("a tree of one query was expected")
    found = References()
    query = queries[0]
    if query.fields.get("commandType") == UTILITY:
        statement = query.fields.get("utilityStmt")
        name = statement.name if isinstance(statement, Node) else ""
        if name == "CREATETABLEASSTMT":
            raise NoReadError("SELECT INTO writes data")
        if name != SHOW:
            raise NoReadError(f"{name.removesuffix('STMT')} is no query")
        return found
    _walk(query, found)
    return found


_kept = lru_cache(KEPT_TREES)(_of_statement)
"""What a tree refers to hangs on its text alone."""


def of_expression(stored: str) -> References:
    """What an expression of the catalog refers to: a CHECK, a default."""
    found = References()
    for node in nodes(parse(stored)):
        _walk(node, found)
    return found


def joined(parts: Iterable[References]) -> References:
    """All references of several trees."""
    whole = References()
    for part in parts:
        for kind in KINDS:
            whole.of(kind).update(part.of(kind))
        whole.tables.update(part.tables)
    return whole


def _walk(root: Node, found: References) -> None:
    pending: list[tuple[Node, bool]] = [(root, False)]  # and whether it is behind a view
    while pending:
        node, behind = pending.pop()
        fields = NODES.get(node.name)
        if fields is None:
            raise NoReadError(f"{node.name} is not known to the guard")
        if node.name == "QUERY":
            _expect_a_read(node)
        below: list[tuple[Node, bool]] = []
        hidden: Value = None
        if node.name == "RANGETBLENTRY":
            hidden = _view(node, found, behind)
        for name, value in node.fields.items():
            if name not in fields:
                raise NoReadError(f"{node.name}.{name} is not known to the guard")
            kind = fields[name]
            if kind is not None:
                found.of(kind).update(dict.fromkeys(oids(value)))
            elif value is not None and not isinstance(value, str) and value is not hidden:
                inside = behind or (name == "subquery" and node.fields.get("relid", "0") != "0")
                below += [(child, inside) for child in nodes(value)]
        pending += reversed(below)


def _expect_a_read(query: Node) -> None:
    command = query.fields.get("commandType")
    if not isinstance(command, str) or command != SELECT:
        raise NoReadError(f"{COMMANDS.get(str(command), 'the statement')} writes data")
    if query.fields.get("rowMarks") is not None:
        raise NoReadError("FOR UPDATE/SHARE locks rows")
    if query.fields.get("utilityStmt") is not None:
        raise NoReadError("the query holds another statement")


def _view(entry: Node, found: References, behind: bool) -> Value:
    """Note what is read; for a view of PostgreSQL's own, what need not be looked into.

    Such a view is judged as a whole: it calls what no query may call by itself (the functions
    behind pg_locks are VOLATILE).
    """
    kind = entry.fields.get("rtekind")
    relation = next(oids(entry.fields.get("relid")), None)
    if relation is None:
        return None
    if kind not in (RTE_RELATION, RTE_SUBQUERY):
        raise NoReadError("a relation stands where none is expected")
    if not behind:
        found.tables[relation] = None
    if kind == RTE_RELATION and entry.fields.get("relkind") == "v":
        raise NoReadError("a view was not resolved")
    return entry.fields.get("subquery") if relation < FIRST_USER_OID else None
