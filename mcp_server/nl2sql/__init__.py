"""Natural language to SQL, usable as a library: `Translator(dsn).translate(question)`."""

from mcp_server.nl2sql.translation import Translation
from mcp_server.nl2sql.translator import Translator

__all__ = ["Translation", "Translator"]
