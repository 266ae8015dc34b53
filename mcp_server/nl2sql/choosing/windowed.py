"""The candidates of a plain question with a window over each."""

from sqlglot import exp

from mcp_server.nl2sql.business.cohorts import Cohort
from mcp_server.nl2sql.choosing.candidates import Made
from mcp_server.nl2sql.conversation.naming import within
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.windows.applying import applied
from mcp_server.nl2sql.windows.asking import Ranked, Window
from mcp_server.nl2sql.windows.totals import of_each

FORM_KNOWN = 2.0
"""How many times better the odds of a reading are whose form a phrase for a window has settled."""


def settle(valid: list[Made]) -> None:
    """What a window says of the form of a query, a measure and what it goes along, or a time.

    Readings without them are out by then, and the odds of what is left are twice as good.
    """
    for made in valid:
        odds = FORM_KNOWN * made.confidence / max(1e-9, 1 - made.confidence)
        made.confidence = made.confidence if made.unused else odds / (1 + odds)


def over_window(
    window: Window | Cohort, made: list[Made], plain: str, linker: Linker, graph: JoinGraph
) -> list[Made]:
    """Those candidates that the window fits, with it; their signs are of the plain question."""
    found: list[Made] = []
    for each in made:
        if isinstance(window, Cohort):
            found += _replaced(each, window.of(each.tree))
            continue
        query, part = each.tree, None
        if isinstance(window, Ranked) and window.within:
            found_part = within(query, window.within, linker, graph)
            if found_part is None:
                continue
            query, part = found_part
            query = of_each(query, graph)
        found += _replaced(each, applied(window, query, plain, part))
    return found


def _replaced(made: Made, tree: exp.Query | None) -> list[Made]:
    if tree is None:
        return []
    made.tree, made.sql = tree, tree.sql(dialect="postgres")
    return [made]
