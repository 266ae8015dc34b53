"""JSON with comments: one member is set, and not a letter of the rest is touched."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.cli.clients.jsonc import JsonTextError, parse, set_member

ENTRY = {"command": "borealis", "args": ["mcp"]}
ZED = """\
// Zed settings
//
// For information, see https://zed.dev/docs
{
    "theme": "One /* no comment */ Dark", // behind a value
    /* a block,
       of two lines */
    "context_servers": {
        // mine
        "other": { "command": "x", "args": [1, 2,], },
    },
    "vim_mode": true // the last one
    // and a word at the end
}
"""


def test_the_comments_of_an_editor_stay() -> None:
    changed = set_member(ZED, ("context_servers", "borealis"), ENTRY)
    assert parse(changed).data["context_servers"] == {
        "other": {"command": "x", "args": [1, 2]},
        "borealis": ENTRY,
    }
    kept = [line for line in ZED.splitlines() if line not in changed.splitlines()]
    assert kept == []
    assert '        "borealis": {\n            "command": "borealis",' in changed
    assert set_member(changed, ("context_servers", "borealis"), ENTRY) == changed


def test_a_new_member_comes_behind_a_value_with_a_comment() -> None:
    changed = set_member(ZED, ("servers", "borealis"), ENTRY)
    assert '"vim_mode": true, // the last one\n    // and a word at the end\n' in changed
    assert parse(changed).data["servers"] == {"borealis": ENTRY}


def test_a_value_is_replaced_where_it_stands() -> None:
    text = '{"a": 1, "servers": {"borealis": {"command": "old"}, "z": 2}} // end\n'
    changed = set_member(text, ("servers", "borealis"), 5)
    assert changed == '{"a": 1, "servers": {"borealis": 5, "z": 2}} // end\n'


@pytest.mark.parametrize(
    "text", ["", " \n", "// nothing yet\n", "{}", "{ }", "{\n}\n", "{ /* x */ }"]
)
def test_nothing_is_an_object_to_begin_with(text: str) -> None:
    changed = set_member(text, ("servers", "borealis"), ENTRY)
    assert parse(changed).data == {"servers": {"borealis": ENTRY}}
    assert all(word in changed for word in re.findall(r"//.*|/\*.*?\*/", text))


def test_tabs_and_line_ends_are_those_of_the_file() -> None:
    changed = set_member('{\r\n\t"a": 1\r\n}\r\n', ("b",), {"c": 1})
    assert changed == '{\r\n\t"a": 1,\r\n\t"b": {\r\n\t\t"c": 1\r\n\t}\r\n}\r\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1', "ends in the middle"),
        ('{\n\n"a" 1}', "line 3: ':' is expected"),
        ("[1]", "no object holds"),
        ('{"servers": []}', "no object holds servers.borealis"),
        ('{"servers": null}', "no object holds"),
        ("{'a': 1}", "line 1"),
        ('{"a": nope}', "'nope' is no value"),
        ('{"a": 1} {"b": 2}', "more text"),
        ("{" + '"a":{' * 400 + "}" * 401, "inside each other"),
        ('{"a": "not closed}', "unexpected"),
        ("{a: 1}", "double quotes"),
        ('{"a": 1, , }', "double quotes"),
    ],
)
def test_what_is_no_such_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(JsonTextError, match=re.escape(why)):
        set_member(text, ("servers", "borealis"), ENTRY)


def test_of_two_members_of_one_name_the_last_one_counts() -> None:
    text = '{"servers": {"borealis": 1}, "servers": {"x": 2}}'
    changed = set_member(text, ("servers", "borealis"), 3)
    assert json.loads(changed)["servers"] == {"x": 2, "borealis": 3}


BLANK = st.sampled_from(["", " ", "\n", "\n    ", ' // a "b" {,}\n', "/* } , */", "\t"])
SCALAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
DATA = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def written(draw: st.DrawFn, data: object) -> str:
    """The data as somebody may have written it by hand."""
    if isinstance(data, dict):
        items = [
            f"{draw(BLANK)}{json.dumps(name)}{draw(BLANK)}:{draw(BLANK)}{draw(written(each))}{draw(BLANK)}"
            for name, each in data.items()
        ]
        end = "," if items and draw(st.booleans()) else ""
        return "{" + ",".join(items) + end + draw(BLANK) + "}"
    if isinstance(data, list):
        items = [f"{draw(BLANK)}{draw(written(each))}{draw(BLANK)}" for each in data]
        end = "," if items and draw(st.booleans()) else ""
        return "[" + ",".join(items) + end + draw(BLANK) + "]"
    return json.dumps(data, ensure_ascii=draw(st.booleans()))


@given(data=st.dictionaries(st.text(max_size=5), DATA, max_size=4), draws=st.data())
def test_whatever_the_text_only_that_member_changes(
    data: dict[str, object], draws: st.DataObject
) -> None:
    text = draws.draw(BLANK) + draws.draw(written(data)) + draws.draw(BLANK)
    assert parse(text).data == data
    servers = data.get("servers", {})
    path = ("servers", "borealis")
    if not isinstance(servers, dict):
        with pytest.raises(JsonTextError):
            set_member(text, path, ENTRY)
        return
    changed = set_member(text, path, ENTRY)
    assert parse(changed).data == {**data, "servers": {**servers, "borealis": ENTRY}}
    assert changed.count("// a") == text.count("// a")
