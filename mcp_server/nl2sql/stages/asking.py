"""Whether the answer to a question takes several steps, and the query that takes them."""

import datetime
import logging

import psycopg

from mcp_server.nl2sql.database.stopping import AbandonedError
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.relations.asking import Related
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.stages.averages import averaged
from mcp_server.nl2sql.stages.both import both
from mcp_server.nl2sql.stages.measured import measured
from mcp_server.nl2sql.stages.parts import Answer, Parts
from mcp_server.nl2sql.stages.shares import shared

log = logging.getLogger(__name__)


def in_steps(
    question: str, linker: Linker, graph: JoinGraph, answer: Answer, today: datetime.date
) -> Related | None:
    """What a question means whose parts are questions; None where it is none, or a part is not
    understood. answer: the query of a part.
    """
    try:
        parts = Parts(linker, graph, answer, today)
        for read in (averaged, shared, measured, both):
            found = read(question, parts)
            if found is not None:
                return found
    except (psycopg.Error, AbandonedError):  # of a part: the database is away, or nobody waits
        raise
    except Exception:  # a mistake here: the question is read as any other, and the log says why
        log.exception("the steps of a question could not be read")
    return None
