"""A plan of PostgreSQL as a few lines, with what is remarkable in it. No I/O.

Source: PostgreSQL manual, "Using EXPLAIN".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]

LINES_MAX = 200
CONDITION_CHARACTERS = 200
ROWS_WORTH_AN_INDEX = 1000
WASTED = 0.9
"""Of the rows that a scan reads: it throws so many away."""
FAR_OFF = 10.0
"""Times that an estimate may miss the rows that there were."""

CONDITIONS = (
    *("Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter"),
    *("Sort Key", "Group Key"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """lines: a node each, indented. remarks: what to look at. times: in ms, as far as measured.

    indexes: the names of those that it uses.
    """

    lines: list[str]
    remarks: list[str]
    cost: float
    planning_ms: float | None
    execution_ms: float | None
    indexes: frozenset[str]


def plan_of(explained: Any) -> Plan:
    """What `EXPLAIN (FORMAT JSON)` printed, in short."""
    (whole,) = explained
    nodes = list(_nodes(whole["Plan"], 0))
    lines = [_line(node, depth) for node, depth in nodes[:LINES_MAX]]
    if len(nodes) > LINES_MAX:
        lines.append(f"… {len(nodes) - LINES_MAX} more nodes")
    remarks = [remark for node, _ in nodes for remark in _remarks(node)]
    return Plan(
        lines,
        list(dict.fromkeys(remarks)),
        float(whole["Plan"].get("Total Cost", 0.0)),
        whole.get("Planning Time"),
        whole.get("Execution Time"),
        frozenset(str(node["Index Name"]) for node, _ in nodes if "Index Name" in node),
    )


def _nodes(node: Node, depth: int) -> Iterator[tuple[Node, int]]:
    yield node, depth
    for each in node.get("Plans", ()):
        yield from _nodes(each, depth + 1)


def _line(node: Node, depth: int) -> str:
    parts = [_name(node), f"cost={node.get('Total Cost', 0):.0f} rows={node.get('Plan Rows', 0)}"]
    if "Actual Rows" in node:
        loops = node.get("Actual Loops", 1)
        if loops:
            parts.append(
                f"actual rows={_actual(node):.0f} ms={node.get('Actual Total Time', 0) * loops:.1f}"
                + (f" loops={loops}" if loops > 1 else "")
            )
        else:
            parts.append("never executed")
    for name in CONDITIONS:
        if name in node:
            parts.append(f"{name}: {_text(node[name])}")
    for name in ("Rows Removed by Filter", "Rows Removed by Join Filter"):
        if node.get(name):
            parts.append(f"{name}: {node[name]:.0f}")
    return "  " * depth + "; ".join(parts)


def _name(node: Node) -> str:
    kind = str(node.get("Node Type", "?"))
    if (join := node.get("Join Type")) not in (None, "Inner"):
        kind += f" ({join})"
    if "Index Name" in node:
        kind += f" using {node['Index Name']}"
    if (place := _place(node)) is not None:
        kind += f" on {place}"
    return kind


def _place(node: Node) -> str | None:
    name = node.get("Relation Name") or node.get("CTE Name") or node.get("Function Name")
    if name is None:
        return None
    alias = node.get("Alias", name)
    return str(name) if alias == name else f"{name} {alias}"


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= CONDITION_CHARACTERS else text[:CONDITION_CHARACTERS] + "…"


def _actual(node: Node) -> float:
    return float(node["Actual Rows"]) * float(node.get("Actual Loops", 1))


def _remarks(node: Node) -> Iterator[str]:
    name = _name(node)
    if "Actual Rows" in node and node.get("Actual Loops", 1):
        removed = float(node.get("Rows Removed by Filter", 0)) * node.get("Actual Loops", 1)
        read = removed + _actual(node)
        if "Seq Scan" in name and removed >= ROWS_WORTH_AN_INDEX and removed > WASTED * read:
            yield (
                f"{name} reads {read:.0f} rows and keeps {_actual(node):.0f}: an index on what its "
                f"filter compares may help: {_text(node.get('Filter', ''))}"
            )
        expected, there = float(node.get("Plan Rows", 0)), float(node["Actual Rows"])
        low, high = sorted((max(expected, 1.0), max(there, 1.0)))
        if high / low >= FAR_OFF and high * node.get("Actual Loops", 1) >= ROWS_WORTH_AN_INDEX:
            yield f"{name}: {expected:.0f} rows expected, {there:.0f} came: ANALYZE its tables"
    if node.get("Sort Space Type") == "Disk":
        kilobytes = node.get("Sort Space Used", 0)
        yield f"{name} sorts {kilobytes} kB on disk: more work_mem, or an index"
    if node.get("Hash Batches", 1) > 1:
        yield f"{name} needs {node['Hash Batches']} batches: more work_mem"
