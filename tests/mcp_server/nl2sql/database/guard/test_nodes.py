"""Every node of PostgreSQL is known with all its fields, or refused: held against its headers."""

import re
from pathlib import Path

import pytest

from cluster_runtime.engine.installation import find_installation
from mcp_server.nl2sql.database.guard.functions import words
from mcp_server.nl2sql.database.guard.node_fields import NODES

# Nodes of queries that do more than read, and those that no resolved query holds.
REFUSED = words(
    """
    ForPortionOfExpr InferenceElem IntoClause MergeAction MergeSupportFunc NextValueExpr
    OnConflictExpr ReturningExpr SetToDefault CurrentOfExpr WithCheckOption RowMarkClause
    WindowFuncRunCondition FieldStore AlternativeSubPlan SubPlan RangeVar Expr JsonTablePlan
    """
)
# Written by outfuncs.c under a name of their own: the second name of the same structure.
SAME_STRUCTURE = {"DistinctExpr": "OpExpr", "NullIfExpr": "OpExpr"}
OF_QUERIES = words(
    """
    Query RangeTblEntry RTEPermissionInfo RangeTblFunction TableSampleClause SortGroupClause
    GroupingSet WindowClause CTESearchClause CTECycleClause CommonTableExpr SetOperationStmt
    VariableShowStmt
    """
)


def structures(headers: Path) -> dict[str, set[str]]:
    """Structure -> its fields, those of a structure inside it in its place."""
    fields: dict[str, list[tuple[str, str]]] = {}
    for name in ("primnodes.h", "parsenodes.h"):
        text = re.sub(r"/\*.*?\*/", "", (headers / name).read_text(), flags=re.DOTALL)
        for struct, body in re.findall(
            r"typedef struct (\w+)\s*\{(.*?)\n\}\s*\w+;", text, re.DOTALL
        ):
            lines = [re.sub(r"pg_node_attr\(.*\)", "", line).strip() for line in body.split(";")]
            found = (
                re.match(r"(.*?)\s*(\**)(\w+)\s*(\[.*\])?$", line, re.DOTALL) for line in lines
            )
            fields[struct] = [(m[1].strip() + m[2], m[3]) for m in found if m and m[1]]
    whole: dict[str, set[str]] = {}
    for struct, members in fields.items():
        whole[struct] = set()
        for type_, name in members:
            inner = type_ in fields and type_ != "Node"
            whole[struct] |= {n for _, n in fields[type_]} if inner else {name}
        whole[struct] -= {"type", "xpr", "plan"} if struct != "TableFunc" else {"type", "xpr"}
    return whole


def _headers() -> Path:
    found = sorted(find_installation().prefix.glob("include/**/nodes/primnodes.h"))
    if not found:
        pytest.skip("this installation of PostgreSQL has no headers")
    return found[0].parent


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    return structures(_headers())


def test_every_node_of_an_expression_is_listed_or_refused() -> None:
    text = (_headers() / "primnodes.h").read_text()
    declared = set(re.findall(r"typedef struct (\w+)\s*\{", text)) | set(SAME_STRUCTURE)
    missing = {name for name in declared | OF_QUERIES if name.upper() not in NODES}
    assert missing - REFUSED == set(), "list these in nodes.py, or refuse them here"
    assert {name for name in REFUSED if name.upper() in NODES} == set(), "refused and listed"


@pytest.mark.parametrize("node", sorted(NODES))
def test_a_node_has_the_fields_that_its_structure_has(
    known: dict[str, set[str]], node: str
) -> None:
    by_upper = {name.upper(): name for name in [*known, *SAME_STRUCTURE]}
    struct = by_upper.get(node)
    assert struct is not None, f"{node} is no structure of this version"
    fields = known[SAME_STRUCTURE.get(struct, struct)]
    listed = set(NODES[node])
    refused = {"enrname", "enrtuples"} if struct == "RangeTblEntry" else set()
    assert fields - listed - refused == set(), "list these fields in nodes.py"


def test_every_object_identifier_of_a_node_says_what_it_is_of() -> None:
    """A field of type Oid that is no collation, and names nothing that runs, is told here."""
    harmless = {
        "opfuncid", "hashfuncid", "negfuncid",  # of the operator beside them, which is looked up
        "resorigtbl",  # where a column came from
        "checkAsUser", "relid",  # RTEPERMISSIONINFO repeats its RANGETBLENTRY
    }  # fmt: skip
    text = "".join((_headers() / n).read_text() for n in ("primnodes.h", "parsenodes.h"))
    for struct, body in re.findall(r"typedef struct (\w+)\s*\{(.*?)\n\}", text, re.DOTALL):
        fields = NODES.get(struct.upper(), {})
        for name in re.findall(r"\bOid\s+(\w+)", body):
            if name in fields and "coll" not in name.lower() and name not in harmless:
                assert fields[name] is not None, f"{struct}.{name}"
