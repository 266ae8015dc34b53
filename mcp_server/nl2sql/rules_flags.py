"""Rules for columns that say yes or no: `official languages`, `full-time employees`."""

from mcp_server.nl2sql.logical import Compare, Condition
from mcp_server.nl2sql.profile_model import Column, Kind
from mcp_server.nl2sql.question import Question, letters

YES = ("t", "true", "y", "yes", "1")
NO = ("f", "false", "n", "no", "0")
MARKS = frozenset(["is", "be", "has", "have", "flag", "yn", "if", "whether", "was"])
ASKING = frozenset(["whether", "if"])
NEGATIONS = frozenset(["not", "non", "never"])


def flags(question: Question) -> list[Condition]:
    """Conditions from adjectives that name a yes-or-no column."""
    words = [item.token.lemma for item in question.items]
    if ASKING & set(words):
        return []
    found: list[Condition] = []
    taken: list[int] = []
    for index, item in enumerate(question.items):
        if item.used or item.ref is None or "c" not in letters(item):
            continue
        if item.ref.best_table > item.ref.best_column:
            continue
        column = question.column(index)
        if column is None or index + 1 == len(words):
            continue
        following = question.items[index + 1]
        noun = following.ref is not None and not following.used and letters(following) != "v"
        predicate = index > 0 and words[index - 1] in ("be", "not", "an", "the", "as", "a")
        if not (noun or (predicate and index > 1 and words[index - 2] in ("be", "not"))):
            continue
        values = truth_values(column)
        if values is None:
            continue
        negated = index > 0 and words[index - 1] in NEGATIONS
        taken.append(index)
        if negated:
            taken.append(index - 1)
        found.append(Compare(column, "=", values[1] if negated else values[0]))
    for index in sorted(taken, reverse=True):
        question.remove(index)  # `how many signed books` counts books
    return found


def truth_values(column: Column) -> tuple[str | int | bool, str | int | bool] | None:
    """What a yes-or-no column holds for yes and for no; None for any other column."""
    if column.kind is Kind.BOOLEAN:
        return True, False
    if not (column.values and column.kind is Kind.TEXT):
        return None
    held = set(column.values)
    if not held <= {*YES, *NO} or len(held) > 2:
        return None
    yes = next((column.values[each] for each in YES if each in held), None)
    no = next((column.values[each] for each in NO if each in held), None)
    if yes is None:
        return None
    return yes, no if no is not None else ""
