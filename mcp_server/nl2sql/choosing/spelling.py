"""A query as it sounds where its question spells out arithmetic: with a name for each expression.

Signs that compare a query with the words of a question then see the query that would have been
asked for had a column held what is computed.
"""

from sqlglot import exp

from mcp_server.nl2sql.grammar.compound.spelled import Spelled
from mcp_server.nl2sql.schema.model import Column
from mcp_server.nl2sql.sql.derived import expression
from mcp_server.nl2sql.words.tokens import tokenize


def named(tree: exp.Query, spelled: Spelled) -> exp.Query:
    """The query with columns in the place of what is spelled out."""
    copy = tree.copy()
    heard = {token.lemma for token in tokenize(spelled.text)}
    for name, column in spelled.named:
        called = "_".join(name.split())
        shape = _bare(_written(column))
        for node in [each for each in copy.walk() if type(each) is type(shape)]:
            if _bare(node) == shape:
                node.replace(exp.column(called))
        unheard = {t.name for t in column.tables if not heard & set(t.words)}
        for source in copy.find_all(exp.Table):
            if source.name in unheard:
                source.set("this", exp.to_identifier(called))
    return copy


def _written(column: Column) -> exp.Expr:
    if column.made is None:
        return exp.column(column.name)
    return expression(column.made, _written)


def _bare(node: exp.Expr) -> exp.Expr:
    """An expression without the tables of its columns, and the quotes of their names."""
    bare = node.copy()
    for column in bare.find_all(exp.Column):
        column.set("table", None)
        column.this.set("quoted", False)
    return bare
