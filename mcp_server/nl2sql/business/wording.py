"""What a business calls things, in words of the schema: the rules of this folder in their order."""

from dataclasses import replace

from mcp_server.nl2sql.business.amounts import Amounts, in_amounts
from mcp_server.nl2sql.business.distributions import in_counts
from mcp_server.nl2sql.business.measures import in_measures
from mcp_server.nl2sql.business.people import of_people
from mcp_server.nl2sql.linking.linking import Linker


def in_schema_words(question: str, linker: Linker) -> tuple[Amounts, tuple[str, ...]]:
    """A question with its sums, people and measures as the schema has them, and what was taken for
    what. Where nobody knows which amount is meant, it is left with all its readings.
    """
    amounts = in_amounts(in_counts(question, linker), linker)
    if len(amounts.readings) > 1:
        return amounts, ()
    said, taken = in_measures(of_people(amounts.readings[0], linker), linker)
    return replace(amounts, readings=(said,)), taken
