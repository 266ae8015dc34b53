"""Scopes, ids, and when two texts are one memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.memories.rules import MemoryScope, MemoryScopeError, id_of, say_the_same

OWNERS = st.text(min_size=1, max_size=200).filter(lambda text: text == text.strip())


@given(st.sampled_from(["user", "agent", "run"]), OWNERS)
def test_a_scope_is_read_as_it_is_written_and_found_by_its_namespace(kind: str, name: str) -> None:
    scope = MemoryScope.of(f"{kind}:{name}")
    assert (scope.kind, scope.owner) == (kind, name)
    assert MemoryScope.at(scope.namespace) == scope
    assert all("." not in label and label for label in scope.namespace)


@given(OWNERS, OWNERS)
def test_two_scopes_share_no_namespace(one: str, other: str) -> None:
    same = MemoryScope("user", one).namespace == MemoryScope("user", other).namespace
    assert same is (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "ada", "user:", "user: ada", "user:ada ", "team:x", "USER:ada", "user:" + "x" * 201],
)
def test_what_is_no_scope_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(MemoryScopeError, match="user:NAME"):
        MemoryScope.of(text)


@pytest.mark.parametrize(
    ("old", "new", "similarity", "one"),
    [
        ("Likes tea.", "  likes   TEA. ", None, True),
        ("Ada likes green tea", "Ada likes green teas", 0.97, True),
        ("Ada likes green tea", "Ada likes coffee", 0.6, False),
        ("the build took 5 minutes", "the build took 6 minutes", 0.99, False),
        ("room 12 on floor 3", "room 3 on floor 12", 0.99, True),
        ("a", "b", None, False),
    ],
)
def test_texts_are_one_where_they_are_alike_and_their_numbers_are_the_same(
    old: str, new: str, similarity: float | None, one: bool
) -> None:
    assert say_the_same(old, new, similarity) is one


@given(st.text(min_size=1))
def test_an_id_is_that_of_the_text_without_case_and_blanks(text: str) -> None:
    assert id_of(f"  {text}\n") == id_of(text)
    assert id_of(text) != id_of(text + "x")
