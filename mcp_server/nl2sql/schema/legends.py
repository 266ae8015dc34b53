"""What codes stand for, where the comment on a column says so: `A = annual, C = casual`."""

import re

from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.words.tokens import normal_text

_PAIR = re.compile(
    r"(?:^|(?<=[\s,;(/|]))['\"]?(?P<code>[\w-]{1,12})['\"]?\s*(?:=>?|:|\bmeans\b|\bfor\b)\s*"
    r"['\"]?(?P<meaning>[^\W\d_][\w' -]*?)['\"]?\s*(?=[,;.)/|\n]|$| or | and )",
)


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
    return found if len(found) > 1 else {}
