"""Profiles of databases that do not exist: what is known of their tables, and no rows."""

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import identifier_words, normal_text


def table(name: str, rows: int, /, **columns: Kind | list[str]) -> Table:
    """A table whose first column is its key. A list: the values of a text column."""
    made = Table("public", name, rows=rows, words=identifier_words(name))
    for column_name, given in columns.items():
        kind = given if isinstance(given, Kind) else Kind.TEXT
        column = Column(made, column_name, kind.value, kind, words=identifier_words(column_name))
        if not isinstance(given, Kind):
            column.values = {normal_text(value): value for value in given}
            column.distinct = len(given)
        made.columns.append(column)
    made.columns[0].primary = made.columns[0].unique = True
    return made


def profile(*tables: Table, **keys: tuple[str, str]) -> Profile:
    """The profile of tables. keys: `table__column` refers to (table, column)."""
    named = {each.name: each for each in tables}
    foreign = []
    for place, (target, column) in keys.items():
        own, _, own_column = place.partition("__")
        key = ForeignKey(_column(named[own], own_column), _column(named[target], column))
        key.column.foreign = True
        key.column.within = key.target if key.target.table is key.column.table else None
        foreign.append(key)
    found = Profile(list(tables), foreign)
    for column in found.columns:
        for normal, value in column.values.items():
            found.value_index.setdefault(normal, []).append((column, value))
    return found


def _column(of: Table, name: str) -> Column:
    found = of.column(name)
    assert found is not None, f"{of.name} has no {name}"
    return found


def library() -> Profile:
    """Branches, their members, and the books that those borrow."""
    return profile(
        table("branch", 4, branch_id=Kind.NUMBER, name=["North", "Harbour"],
              city=["Oslo", "Bergen"], opened=Kind.NUMBER),
        table("member", 6, member_id=Kind.NUMBER, name=["Ann", "Ben"], age=Kind.NUMBER,
              sex=["F", "M"], branch_id=Kind.NUMBER),
        table("book", 4, book_id=Kind.NUMBER, title=["Winter", "Ferry"], pages=Kind.NUMBER,
              price=Kind.NUMBER),
        table("loan", 9, loan_id=Kind.NUMBER, member_id=Kind.NUMBER, book_id=Kind.NUMBER,
              days=Kind.NUMBER),
        member__branch_id=("branch", "branch_id"),
        loan__member_id=("member", "member_id"),
        loan__book_id=("book", "book_id"),
    )  # fmt: skip


def company() -> Profile:
    """Departments, their workers with their managers, and the tasks that those work on."""
    return profile(
        table("department", 3, department_id=Kind.NUMBER, name=["Design", "Sales"],
              city=["Oslo", "Bergen"]),
        table("worker", 7, worker_id=Kind.NUMBER, first_name=["Ada", "Alan"],
              last_name=["Byron", "Kay"], salary=Kind.NUMBER, hired=Kind.DATE,
              active=Kind.BOOLEAN, department_id=Kind.NUMBER, manager_id=Kind.NUMBER),
        table("task", 5, task_id=Kind.NUMBER, title=["Map", "Chart"], state=["done", "open"],
              valid_from=Kind.DATE, valid_to=Kind.DATE),
        table("shift", 9, shift_id=Kind.NUMBER, worker_id=Kind.NUMBER, task_id=Kind.NUMBER,
              hours=Kind.NUMBER),
        worker__department_id=("department", "department_id"),
        worker__manager_id=("worker", "worker_id"),
        shift__worker_id=("worker", "worker_id"),
        shift__task_id=("task", "task_id"),
    )  # fmt: skip
