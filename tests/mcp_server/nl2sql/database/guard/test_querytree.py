"""The reader of printed trees: gets back exactly what was printed, or refuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_server.nl2sql.database.guard import references
from mcp_server.nl2sql.database.guard.query_tree import (
    Node,
    TreeError,
    Value,
    oids,
    parse,
    parse_printed,
)
from tests.examples import examples

NAMES = st.text(st.sampled_from("abé漢 \\(){}[]:<>\"'0\n\t_"), min_size=1, max_size=63).filter(
    lambda name: len(name.encode()) <= 63
)
FIELDS = st.sampled_from(["funcid", "args", "resname", "relid", "location"])
TREES = st.recursive(
    NAMES | st.none(),
    lambda inner: (
        st.lists(inner.filter(lambda each: each != "["), max_size=4)  # names in lists are in quotes
        | st.builds(
            Node, st.sampled_from(["QUERY", "CONST", "OPEXPR"]), st.dictionaries(FIELDS, inner)
        )
    ),
    max_leaves=30,
)


def token(name: str) -> str:
    """As outToken writes a name."""
    first = "\\" if name[0] in '<"' or name[0].isdigit() else ""
    return first + "".join(f"\\{c}" if c in " \n\t(){}\\" else c for c in name)


def printed(value: Value) -> str:
    """As outNode writes a value."""
    match value:
        case None:
            return "<>"
        case str():
            return token(value)
        case list():
            return "(" + " ".join(map(printed, value)) + ")"
        case Node(name, fields):
            inside = "".join(f" :{label} {printed(field)}" for label, field in fields.items())
            return "{" + name + inside + "}"


def broken(text: str) -> str:
    """As format_node_dump breaks a tree into lines, counting bytes."""
    dump, at, lines = text.encode(), 0, []
    while True:
        line = dump[at : at + 78]
        at += len(line)
        if at == len(dump):
            return b"\n".join([*lines, line]).decode(errors="replace") + "\n"
        if dump[at : at + 1] == b" ":
            at += 1
        elif (blank := line.rfind(b" ", 1)) > 0:
            at -= len(line) - blank - 1
            line = line[:blank]
        lines.append(line)


def unescaped(value: Value) -> Value:
    match value:
        case str():
            out, escaped = "", False
            for c in value:
                if c == "\\" and not escaped:
                    escaped = True
                else:
                    out, escaped = out + c, False
            return out
        case list():
            return [unescaped(each) for each in value]
        case Node(name, fields):
            return Node(name, {label: unescaped(each) for label, each in fields.items()})
        case None:
            return None


def with_blanks(value: Value) -> Value:
    """A line break inside a name cannot be told from a blank, and need not be."""
    match value:
        case str():
            return value.replace("\n", " ")
        case list():
            return [with_blanks(each) for each in value]
        case Node(name, fields):
            return Node(name, {label: with_blanks(each) for label, each in fields.items()})
        case None:
            return None


@settings(max_examples=examples(400), deadline=None)
@given(TREES)
def test_any_tree_comes_back_as_it_was_printed(tree: Value) -> None:
    assert unescaped(parse(printed(tree))) == tree


@settings(max_examples=examples(600), deadline=None)
@given(TREES)
def test_a_tree_broken_into_lines_comes_back_or_is_refused(tree: Value) -> None:
    try:
        found = parse_printed(broken(printed(tree)))
    except TreeError:
        return
    assert with_blanks(unescaped(found)) == with_blanks(tree)


def test_names_of_ordinary_queries_are_never_refused() -> None:
    names = ["x" * 63, "Venue Name " * 5, "a (b) {c}", "漢" * 21, ":funcid", "<>", "[ 1 ]", '"q"']
    tree = Node("QUERY", {"args": [Node("CONST", {"resname": name}) for name in names]})
    assert unescaped(parse_printed(broken(printed(tree)))) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{QUERY",
        "{QUERY :a}",
        "{QUERY a}",
        "{QUERY :a 1 :a 2}",
        "{QUERY :a 1 2}",
        "{QUERY (1)}",
        "(1))",
        "({)}",
        "{QUERY :a 1} {QUERY :a 1}",
        "{QUERY :a (1}",
        "{QUERY :a \\",
        "}",
        "(" * 5,
    ],
)
def test_what_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(TreeError):
        parse(text)


def test_a_word_that_may_have_been_broken_inside_is_refused() -> None:
    name = "a" + "(" * 62  # 125 bytes once they are escaped
    with pytest.raises(TreeError, match="brackets"):
        parse_printed(broken(printed(Node("ALIAS", {"aliasname": name}))))


def test_object_identifiers_are_numbers_and_nothing_else() -> None:
    assert list(oids("25")) == [25]
    assert list(oids(["o", "1", "2"])) == [1, 2]
    assert list(oids("0")) == list(oids(None)) == []
    for wrong in ("x", "-1", ["i", "1"], Node("CONST")):
        with pytest.raises(TreeError):
            list(oids(wrong))


@pytest.mark.parametrize(
    "text",
    [
        "({QUERY :commandType 4})",
        "({QUERY :commandType 1 :somethingNew 1})",
        "({QUERY :commandType 1 :targetList ({NEWEXPR :funcid 1})})",
        "({QUERY :commandType 1 :cteList ({COMMONTABLEEXPR :ctequery {QUERY :commandType 3}})})",
        "({QUERY :commandType 1 :rowMarks ({ROWMARKCLAUSE :rti 1})})",
        "({QUERY :commandType 1 :utilityStmt {NOTIFYSTMT :conditionname a}})",
        "({QUERY :commandType 6 :utilityStmt {NOTIFYSTMT :conditionname a}})",
        "({QUERY :commandType 6 :utilityStmt <>})",
        "({QUERY})",
    ],
)
def test_a_statement_that_nobody_classified_is_no_read(text: str) -> None:
    with pytest.raises(references.NoReadError):
        references.of_statement(text)


def test_what_is_behind_a_view_of_postgresql_is_not_looked_into_and_of_a_user_is() -> None:
    call = Node("QUERY", {"commandType": "1", "targetList": [Node("FUNCEXPR", {"funcid": "99"})]})
    for relation, functions in ((12073, []), (16999, [99])):
        entry = {"rtekind": "1", "subquery": call, "relid": str(relation)}
        query = Node("QUERY", {"commandType": "1", "rtable": [Node("RANGETBLENTRY", entry)]})
        found = references.of_statement(f" {printed([query])} ".replace("\\", ""))
        assert list(found.functions) == functions
        assert list(found.tables) == [relation]
