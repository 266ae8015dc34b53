"""What a document says, held against a schema: every name is looked for, and mistakes are told.

`applied` puts what is right into a profile, from which the built-in translator and the facts of a
prompt are taken; what names nothing (a column that was dropped since) is left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.database import identifiers
from mcp_server.nl2sql.database.catalog import nearest
from mcp_server.nl2sql.errors import SemanticsError
from mcp_server.nl2sql.schema.model import METRIC, Column, Kind, Made, Profile, Synonym, Table
from mcp_server.nl2sql.semantics.expressions import ExpressionError, over, placed
from mcp_server.nl2sql.semantics.model import Cube, Semantics
from mcp_server.nl2sql.semantics.telling import told
from mcp_server.nl2sql.words.tokens import identifier_words, lemma, normal_text

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Written:
    """A query that an expression of a document makes, for PostgreSQL to judge."""

    place: str
    sql: str


def checked(document: Semantics, found: Profile) -> Iterator[Written]:
    """The queries by which the server judges the types in a document.

    Raises SemanticsError, at the end, with everything that does not fit the schema.
    """
    problems: list[str] = []
    for cube, table in _tables(document, found, problems.append):
        list(_columns(cube, table, problems.append))
        for metric in _metrics(cube, table, problems.append):
            yield Written(f"cube {cube.name!r}, measure {metric.name!r}", _measuring(metric))
        if condition := _filter(cube, table, problems.append):
            yield Written(f"cube {cube.name!r}, default_filter", _filtering(condition, table))
    list(_synonyms(document, found, problems.append))
    if problems:
        raise SemanticsError.of(problems)


def applied(document: Semantics, found: Profile) -> None:
    """Put what a document says into a profile that nobody uses yet."""

    def ignored(_: str) -> None:
        """It was right when it was kept; the schema has changed since."""

    hidden = set()
    for cube, table in _tables(document, found, ignored):
        if cube.hidden:
            hidden.add(table)
            continue
        table.display = tuple(
            column for name in cube.display if (column := table.column(name)) is not None
        )
        table.comment = table.comment or cube.description
        table.default_filter = _filter(cube, table, ignored)
        for column, meanings in _columns(cube, table, ignored):
            for code, meaning in meanings:
                found.value_index.setdefault(normal_text(meaning), []).insert(0, (column, code))
        metrics = _metrics(cube, table, ignored)
        found.derived += metrics
        table.told = told(cube, {metric.name for metric in metrics}, table.default_filter)
    found.synonyms = tuple(_synonyms(document, found, ignored))
    found.hidden = frozenset(
        (schema, table.name)
        for table in hidden
        for schema in (table.schema, "")
        if found.named(schema, table.name) is table
    )
    _hide(found, hidden)


def _hide(found: Profile, hidden: set[Table]) -> None:
    shown = found.only(set(found.tables) - hidden)
    found.tables, found.foreign_keys = shown.tables, shown.foreign_keys
    found.value_index, found.derived = shown.value_index, shown.derived


def _tables(document: Semantics, found: Profile, report: Report) -> Iterator[tuple[Cube, Table]]:
    seen: set[Table] = set()
    for cube in document.cubes:
        table = _table(cube.table, found)
        if table is None:
            names = [each.name for each in found.tables]
            names += [f"{each.schema}.{each.name}" for each in found.tables]
            report(_unknown(f"cube {cube.name!r}", f"no table {cube.table!r}", cube.table, names))
        elif table in seen:
            report(f"cube {cube.name!r}: {table.name} has a cube already")
        else:
            seen.add(table)
            yield cube, table


def _table(name: str, found: Profile) -> Table | None:
    parts = identifiers.read(name) or [name]
    return next(
        (
            table
            for table in found.tables
            if table.name == parts[-1] and (len(parts) == 1 or table.schema == parts[-2])
        ),
        None,
    )


def _columns(
    cube: Cube, table: Table, report: Report
) -> Iterator[tuple[Column, list[tuple[str, str]]]]:
    """The columns that dimensions are of, each with what its codes stand for."""
    for name in cube.display:
        if table.column(name) is None:
            report(_no_column(f"cube {cube.name!r}, display", name, table))
    for dimension in cube.dimensions:
        column = _column(table, dimension.column)
        place = f"cube {cube.name!r}, dimension {dimension.name!r}"
        if column is None:
            report(_no_column(place, dimension.column, table))
            continue
        if dimension.description and not column.comment:
            column.comment = dimension.description
        meanings = []
        held = {normal_text(value): value for value in column.values.values()}
        for code, meaning in dimension.legend.items():
            if column.kind is Kind.NUMBER and not code.lstrip("-").isdecimal():
                report(f"{place}, legend: {code!r} is no number, and {column} holds numbers")
                continue
            stored = held.get(normal_text(code), code)
            meanings.append((stored, meaning))
        yield column, meanings


def _column(table: Table, said: str) -> Column | None:
    """A column as a document has it: by its name, or as SQL writes that."""
    found = table.column(said)
    if found is None and (parts := identifiers.read(said)) is not None:
        found = table.column(parts[-1])
    return found


def _metrics(cube: Cube, table: Table, report: Report) -> list[Column]:
    made = []
    names = {tuple(column.words) for column in table.columns}
    for metric in cube.metrics:
        place = f"cube {cube.name!r}, measure {metric.name!r}"
        words = identifier_words(metric.name)
        if words in names:
            report(f"{place}: {table.name} has a column of that name, or two measures have it")
            continue
        names.add(words)
        try:
            columns = over(metric.sql, table, aggregate=True)
        except ExpressionError as error:
            report(f"{place}: {error}")
            continue
        column = Column(table, metric.name, "numeric", Kind.NUMBER, metric.description, words=words)
        column.made = Made(METRIC, columns, metric.sql)
        made.append(column)
    return made


def _filter(cube: Cube, table: Table, report: Report) -> str:
    if not cube.default_filter:
        return ""
    try:
        columns = over(cube.default_filter, table, aggregate=False)
    except ExpressionError as error:
        report(f"cube {cube.name!r}, default_filter: {error}")
        return ""
    if not columns:
        report(f"cube {cube.name!r}, default_filter: it names no column of {table.name}")
        return ""
    return cube.default_filter


def _synonyms(document: Semantics, found: Profile, report: Report) -> Iterator[Synonym]:
    """What else tables, columns and metrics are called; no word may be of two of them."""
    names = {table.words: f"the table {table.name}" for table in found.tables}
    taken: dict[tuple[str, ...], str] = {}
    for cube in document.cubes:
        table = _table(cube.table, found)
        if table is None:
            continue
        said = [(cube.name, table.words, cube.synonyms)]
        said += [(m.name, identifier_words(m.name), m.synonyms) for m in cube.metrics]
        for dimension in cube.dimensions:
            column = _column(table, dimension.column)
            if column is not None:
                named = dimension.synonyms
                if identifier_words(dimension.name) != column.words:
                    named = (dimension.name, *named)
                said.append((dimension.name, column.words, named))
        for name, own, synonyms in said:
            for synonym in synonyms:
                words = tuple(lemma(word) for word in synonym.replace("_", " ").split())
                place = f"cube {cube.name!r}, {name!r}, synonym {synonym!r}"
                if words in taken:
                    report(f"{place}: {taken[words]} has it too")
                elif words in names and words != own:
                    report(f"{place}: it is the name of {names[words]}")
                else:
                    taken[words] = f"{name!r} of cube {cube.name!r}"
                    yield Synonym(words, own)


def _measuring(metric: Column) -> str:
    assert metric.made is not None
    return _over(metric.table, placed(metric.made.unit, exp.column, aggregate=True))


def _filtering(condition: str, table: Table) -> str:
    return (
        f"{_over(table, exp.Null())} where {_sql(placed(condition, exp.column, aggregate=False))}"
    )


def _over(table: Table, shown: exp.Expr) -> str:
    return f"select {_sql(shown)} from {identifiers.written(table.schema, table.name)}"


def _sql(tree: exp.Expr) -> str:
    for name in tree.find_all(exp.Identifier):
        name.set("quoted", True)
    return tree.sql(dialect="postgres")


def _no_column(place: str, name: str, table: Table) -> str:
    names = [column.name for column in table.columns]
    return _unknown(place, f"{table.name} has no column {name!r}", name, names)


def _unknown(place: str, what: str, name: str, names: list[str]) -> str:
    near = nearest(name, names, 1)
    return f"{place}: {what}" + (f"; did you mean {near[0]!r}?" if near else "")
