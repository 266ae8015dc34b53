"""What the rows of a table are called by, and shown by where a question does not say."""

from mcp_server.nl2sql.profile_model import Column, Kind, Table


def name_of(table: Table) -> Column | None:
    """The column that rows are called by."""
    best, best_score = None, 0.0
    for column in table.columns:
        if column.kind is not Kind.TEXT or column.foreign:
            continue
        low = column.name.lower()
        score = 0.0
        if column.words == ("name",):
            score = 5
        elif column.words[-1:] == ("name",) and set(column.words[:-1]) <= set(table.words):
            score = 4
        elif column.words[-1:] == ("name",) or low.endswith("name"):
            score = 2 + 1.0 * any(w in low for w in table.words)
        elif low in ("title",) or column.words[-1:] == ("title",):
            score = 1.8
        elif set(column.words) and set(column.words) <= set(table.words):
            score = 1.5
        elif column.words[-1:] == ("description",):
            score = 0.3
        if score > best_score:
            best, best_score = column, score
    return best


def shown(table: Table) -> list[Column]:
    """What a row is shown by when the question does not say."""
    column = name_of(table)
    if column is not None and column.words[0] in ("first", "last", "middle", "given", "family"):
        parts = [c for c in table.columns if c.words in (("first", "name"), ("last", "name"))]
        if len(parts) == 2:
            return parts
    if column is None:
        column = next((c for c in table.columns if c.words == table.words), None)
    if column is None:
        column = table.key or table.columns[0]
    return [column]
