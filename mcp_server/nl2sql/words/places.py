"""What places are also called: the people of a country, and the codes of states."""

from collections.abc import Mapping, Sequence

from mcp_server.nl2sql.words.files import lexicon


def _known_as() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for names, people in lexicon().peoples.items():
        for name in names:
            found[name] = (*found.get(name, ()), _less(names, name), people)
        for name in people:
            found[name] = ((*names, *_less(people, name)),)
    for code, name in lexicon().codes.items():
        found[code] = ((name,),)
        found[name] = (*found.get(name, ()), (code,))
    return found


def _less(names: Sequence[str], one: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != one)


KNOWN_AS = _known_as()
"""What else a place is called; of names in several tuples, the first that a column holds."""
