"""Two dictionaries of DDL texts, and what has to happen to one to be as the other."""

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.diff.schema.comparing import ObjectName, compare, unified

KINDS = ("schema", "table", "index")
names = st.builds(ObjectName, st.sampled_from([*KINDS, "unheard of"]), st.sampled_from("abcde"))
objects = st.dictionaries(names, st.sampled_from(["x", "y", "y\nz", ""]))


@given(objects, objects)
def test_the_changes_lead_from_one_to_the_other(
    source: dict[ObjectName, str], target: dict[ObjectName, str]
) -> None:
    result = dict(source)
    for change in compare(source, target, KINDS):
        name = ObjectName(change.kind, change.name)
        assert result.get(name) == change.source
        if change.target is None:
            assert change.change == "removed"
            del result[name]
        else:
            assert change.change == ("changed" if name in result else "added")
            result[name] = change.target
    assert result == target


@given(objects, objects)
def test_each_object_is_told_once_in_the_order_of_its_kind(
    source: dict[ObjectName, str], target: dict[ObjectName, str]
) -> None:
    changes = compare(source, target, KINDS)
    told = [(change.kind, change.name) for change in changes]
    assert len(told) == len(set(told))
    ranks = [KINDS.index(kind) if kind in KINDS else len(KINDS) for kind, _ in told]
    assert ranks == sorted(ranks)


@given(objects)
def test_what_is_the_same_is_not_told(same: dict[ObjectName, str]) -> None:
    assert compare(same, dict(same), KINDS) == ()
    assert unified((), "a", "b") == ""


def test_the_text_is_a_unified_diff() -> None:
    source = {ObjectName("table", "t"): "create table t (\n    a int\n);"}
    target = {
        ObjectName("table", "t"): "create table t (\n    a bigint\n);",
        ObjectName("index", "i"): "create index i on t (a);",
    }
    assert unified(compare(source, target, KINDS), "main", "try") == (
        "--- main: table t\n"
        "+++ try: table t\n"
        "@@ -1,3 +1,3 @@\n"
        " create table t (\n"
        "-    a int\n"
        "+    a bigint\n"
        " );\n"
        "--- /dev/null\n"
        "+++ try: index i\n"
        "@@ -0,0 +1 @@\n"
        "+create index i on t (a);\n"
    )
