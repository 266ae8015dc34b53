"""What codes stand for, where the comment on a column says so: `A = annual, C = casual`.

Where the column holds the codes and a list of them says what each is, no sign has to stand between:
`Status: PD paid, OV overdue`.
"""

import re

from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.words.tokens import normal_text

_PAIR = re.compile(
    r"(?:^|(?<=[\s,;(/|]))['\"]?(?P<code>[\w-]{1,12})['\"]?\s*(?:=>?|:|\bmeans\b|\bfor\b)\s*"
    r"['\"]?(?P<meaning>[^\W\d_][\w' -]*?)['\"]?\s*(?=[,;.)/|\n]|$| or | and )",
)

_LISTED = re.compile(
    r"(?:^|(?<=[,;:(/|.]))\s*['\"]?(?P<code>[\w-]{1,12})['\"]?\s+(?:-+ |– |if |when |is )?"
    r"(?P<meaning>[^\W\d_][\w' -]*?)\s*(?=[,;.)/|\n]|$| or | and )",
)
"""A code as the column writes it at the beginning of a part of a list, and what follows."""

_EXPLAINED = re.compile(
    r"(?:^|(?<=[\s,;:(/|]))['\"]?(?P<code>[\w-]{1,12})['\"]? \((?P<meaning>[^\W\d_][\w' -]*)\)"
)
"""A code with its meaning behind it: `noise (music after ten)`."""


def legend(column: Column) -> dict[str, str]:
    """The meaning of each code, as it is compared; empty where the comment says none.

    Only codes that the column holds count, or numbers in a column of numbers.
    """
    found = {}
    for match in _PAIR.finditer(column.comment):
        code = column.values.get(normal_text(match["code"]))
        if code is None and column.kind is Kind.NUMBER and match["code"].isdecimal():
            code = match["code"]
        if code is not None:
            found[code] = normal_text(match["meaning"])
    if len(found) > 1:
        return found
    listed, explained = (
        {
            match["code"]: normal_text(match["meaning"])
            for match in pattern.finditer(column.comment)
            if column.values.get(normal_text(match["code"])) == match["code"]
        }
        for pattern in (_LISTED, _EXPLAINED)
    )
    return listed if len(listed) > 1 else found | explained
