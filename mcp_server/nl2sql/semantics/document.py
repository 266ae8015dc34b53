"""A document of semantics: a data model of Cube's in YAML; this reads what it has a use for.

    cubes:
      - name: orders
        meta: {synonyms: [purchases], default_filter: "not deleted", display: [number]}
        measures:
          - {name: revenue, type: number, sql: "sum(quantity * unit_price)"}
        dimensions:
          - {name: state, sql: state, meta: {legend: {P: paid, O: open}}}
      - {name: schema_log, public: false}

What Cube has no word for stands under `meta`, which Cube leaves to its users. What of Cube has no
part in a question (joins, pre-aggregations, formats) is read over. Anything else is a mistake, and
all mistakes are told at once. Nothing in a document is run by reading it: YAML's plain types alone,
no aliases (a short text could stand for a huge one), no key twice.

Source: cube.dev/docs, "Cubes", "Measures", "Dimensions", "Types and formats".
"""

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import yaml

from mcp_server.nl2sql.database.catalog import nearest
from mcp_server.nl2sql.errors import SemanticsError
from mcp_server.nl2sql.semantics.model import Cube, Dimension, Metric, Semantics

CHARACTERS_MAX = 200_000
DEPTH_MAX = 12
TEXT_MAX = 2_000
LIST_MAX = 2_000

CUBE_KEYS = frozenset(
    {"name", "sql_table", "public", "description", "meta", "measures", "dimensions"}
)
CUBE_META = frozenset({"synonyms", "default_filter", "display"})
MEMBER_KEYS = frozenset({"name", "sql", "type", "description", "meta"})
MEASURE_KEYS = MEMBER_KEYS | {"filters"}
MEASURE_META = frozenset({"synonyms"})
DIMENSION_META = frozenset({"synonyms", "legend"})
READ_OVER = frozenset(
    {"title", "joins", "segments", "pre_aggregations", "hierarchies", "access_policy", "sql_alias",
     "data_source", "refresh_key", "format", "shown", "primary_key", "sub_query", "drill_members",
     "granularities", "propagate_filters_to_sub_query", "rolling_window", "case", "ai_context"}
)  # fmt: skip
"""What Cube knows, and a question has no use for."""

AGGREGATES = {
    "sum": "sum({})", "avg": "avg({})", "min": "min({})", "max": "max({})",
    "count_distinct": "count(distinct {})", "count": "count({})",
    "count_distinct_approx": "count(distinct {})",
}  # fmt: skip
"""Cube's types of measures whose `sql` is what is aggregated."""
WHOLE = frozenset({"number", "string", "time", "boolean"})
"""Its types whose `sql` has the aggregate."""
TYPES = frozenset({*AGGREGATES, *WHOLE})
_OWN = re.compile(r"\$?\{CUBE\}\.|\{CUBE\.(\w+)\}")
"""How Cube writes a column of the cube itself."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML's texts, lists and mappings, no aliases, no key twice, and no depth that exhausts.

    A code stays as it is written: 007, 1.50, no and 2024-01-31 are texts.
    """

    depth = 0
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.composer.ComposerError(
                None, None, "aliases have no place in it", event.start_mark
            )
        if getattr(self.peek_event(), "tag", None) is not None:
            raise yaml.composer.ComposerError(
                None, None, "tags have no place in it", self.peek_event().start_mark
            )
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise yaml.composer.ComposerError(
                None, None, "it is nested too deep", self.peek_event().start_mark
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a name must be a plain text", key.start_mark
                )
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{name!r} is there twice", key.start_mark
                )
            seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)


def read(text: str) -> Semantics:
    """What a document says. Raises SemanticsError with every mistake in it."""
    if len(text) > CHARACTERS_MAX:
        raise SemanticsError.of([f"it is longer than {CHARACTERS_MAX:,} characters"])
    try:
        document = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}: " if mark is not None else ""
        raise SemanticsError.of([f"{place}{error.problem or 'this is no YAML'}"]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise SemanticsError.of([f"this is no YAML: {error}"]) from None
    reader = _Reader()
    found = reader.document(document)
    if reader.problems:
        raise SemanticsError.of(reader.problems)
    return found


class _Reader:
    """One reading of a document; problems: what is wrong with it, each with its place."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def document(self, document: object) -> Semantics:
        if document is None:
            return Semantics()
        top = self._mapping(document, "the document", frozenset({"cubes"}))
        return Semantics(tuple(self._cubes(top.get("cubes"))))

    def _cubes(self, found: object) -> Iterator[Cube]:
        for number, each in enumerate(self._list(found, "cubes"), start=1):
            place = f"cube {number}"
            name, place = self._named(each, "cube", place)
            keys = self._mapping(each, place, CUBE_KEYS)
            meta = self._mapping(keys.get("meta"), f"{place}, meta", CUBE_META)
            public = str(keys.get("public") or "true").lower()
            if public not in ("true", "false"):
                self.problems.append(f"{place}, public: true or false")
            yield Cube(
                name,
                self._text(keys.get("sql_table"), f"{place}, sql_table") or name,
                public == "false",
                self._names(meta.get("synonyms"), f"{place}, synonyms"),
                self._names(meta.get("display"), f"{place}, display"),
                self._text(meta.get("default_filter"), f"{place}, default_filter"),
                self._text(keys.get("description"), f"{place}, description"),
                tuple(self._measures(keys.get("measures"), place)),
                tuple(self._dimensions(keys.get("dimensions"), place)),
            )

    def _measures(self, found: object, cube: str) -> Iterator[Metric]:
        for number, each in enumerate(self._list(found, f"{cube}, measures"), start=1):
            place = f"{cube}, measure {number}"
            name, place = self._named(each, f"{cube}, measure", place)
            keys = self._mapping(each, place, MEASURE_KEYS)
            meta = self._mapping(keys.get("meta"), f"{place}, meta", MEASURE_META)
            sql = self._sql(keys, place)
            for number, one in enumerate(self._list(keys.get("filters"), place), start=1):
                there = f"{place}, filter {number}"
                condition = self._mapping(one, there, frozenset({"sql"}))
                only = _own(self._text(condition.get("sql"), there, needed=True))
                sql = f"{sql} filter (where {only})"
            yield Metric(
                name,
                sql,
                self._names(meta.get("synonyms"), f"{place}, synonyms"),
                self._text(keys.get("description"), f"{place}, description"),
            )

    def _sql(self, keys: Mapping[str, object], place: str) -> str:
        kind = self._text(keys.get("type"), f"{place}, type") or "number"
        sql = _own(self._text(keys.get("sql"), f"{place}, sql", needed=kind != "count"))
        if kind not in TYPES:
            self._unknown(f"{place}, type", kind, TYPES)
        if kind in WHOLE or kind not in AGGREGATES:
            return sql
        return AGGREGATES[kind].format(sql or "*")

    def _dimensions(self, found: object, cube: str) -> Iterator[Dimension]:
        for number, each in enumerate(self._list(found, f"{cube}, dimensions"), start=1):
            place = f"{cube}, dimension {number}"
            name, place = self._named(each, f"{cube}, dimension", place)
            keys = self._mapping(each, place, MEMBER_KEYS)
            meta = self._mapping(keys.get("meta"), f"{place}, meta", DIMENSION_META)
            legend = self._mapping(meta.get("legend"), f"{place}, legend", None)
            yield Dimension(
                name,
                _own(self._text(keys.get("sql"), f"{place}, sql")) or name,
                self._names(meta.get("synonyms"), f"{place}, synonyms"),
                {code: self._text(m, f"{place}, legend, {code}") for code, m in legend.items()},
                self._text(keys.get("description"), f"{place}, description"),
            )

    def _named(self, found: object, what: str, place: str) -> tuple[str, str]:
        """The name of a part, and where it is from now on."""
        if not isinstance(found, Mapping):
            return "", place
        name = self._text(found.get("name"), f"{place}, name", needed=True)
        return name, f"{what} {name!r}" if name else place

    def _mapping(
        self, found: object, place: str, known: frozenset[str] | None
    ) -> Mapping[str, object]:
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            self.problems.append(f"{place}: names with values, and not {_kind(found)}")
            return {}
        for key in found:
            if known is not None and key not in known | READ_OVER:
                self._unknown(place, str(key), known)
        return found

    def _unknown(self, place: str, key: str, known: frozenset[str]) -> None:
        near = nearest(key, sorted(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        self.problems.append(f"{place}: {key!r} is unknown; {hint}")

    def _list(self, found: object, place: str) -> Sequence[object]:
        if found is None:
            return ()
        if not isinstance(found, list):
            self.problems.append(f"{place}: a list, and not {_kind(found)}")
            return ()
        if len(found) > LIST_MAX:
            self.problems.append(f"{place}: more than {LIST_MAX:,}")
        return found[:LIST_MAX]

    def _names(self, found: object, place: str) -> tuple[str, ...]:
        if isinstance(found, str):
            found = [found]
        return tuple(self._text(each, place, needed=True) for each in self._list(found, place))

    def _text(self, found: object, place: str, *, needed: bool = False) -> str:
        if found is None or found == "":
            if needed:
                self.problems.append(f"{place}: it is missing")
            return ""
        if not isinstance(found, str):
            self.problems.append(f"{place}: a text, and not {_kind(found)}")
            return ""
        text = found.strip()
        if len(text) > TEXT_MAX or "\0" in text:
            self.problems.append(f"{place}: at most {TEXT_MAX:,} characters")
        return text


def _own(sql: str) -> str:
    return _OWN.sub(lambda match: match[1] or "", sql)


def _kind(found: object) -> str:
    match found:
        case Mapping():
            return "names with values"
        case list():
            return "a list"
        case _:
            return "a text"
