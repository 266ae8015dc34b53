"""Two ordered streams of rows, walked side by side."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.diff.data.merging import Difference, Mark, Place, differences

KEYS = [f"{number:032x}" for number in range(12)]
keyed = st.dictionaries(st.sampled_from(KEYS), st.sampled_from("xyz"))
multiset = st.lists(st.sampled_from(KEYS), max_size=20)


def marks(rows: list[tuple[str, str]]) -> list[Mark]:
    return [Mark(*row, Place(1, f"(0,{place})")) for place, row in enumerate(sorted(rows))]


@given(keyed, keyed)
def test_rows_with_a_key_are_added_removed_or_changed(
    source: dict[str, str], target: dict[str, str]
) -> None:
    ours, theirs = marks([*source.items()]), marks([*target.items()])
    found = list(differences(ours, theirs))
    of = (
        {mark.place: mark.identity for mark in ours},
        {mark.place: mark.identity for mark in theirs},
    )

    def keys(change: str) -> set[str]:
        return {
            of[0][each.source] if each.source else of[1][each.target or ours[0].place]
            for each in found
            if each.change == change
        }

    assert keys("removed") == source.keys() - target.keys()
    assert keys("added") == target.keys() - source.keys()
    assert keys("changed") == {
        key for key in source.keys() & target.keys() if source[key] != target[key]
    }
    assert len(found) == len(keys("removed")) + len(keys("added")) + len(keys("changed"))


@given(multiset, multiset)
def test_equal_rows_without_a_key_pair_up(source: list[str], target: list[str]) -> None:
    found = list(
        differences(marks([(row, row) for row in source]), marks([(row, row) for row in target]))
    )
    ours, theirs = Counter(source), Counter(target)
    assert sum(each.change == "removed" for each in found) == (ours - theirs).total()
    assert sum(each.change == "added" for each in found) == (theirs - ours).total()
    assert all(each.change != "changed" for each in found)


def test_a_row_that_changed_is_known_on_both_sides() -> None:
    (ours,), (theirs,) = marks([("a", "1")]), marks([("a", "2")])
    assert [*differences([ours], [theirs])] == [Difference("changed", ours.place, theirs.place)]
