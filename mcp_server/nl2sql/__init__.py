"""Natural language to SQL, usable as a library: `Translator(dsn).translate(question)`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcp_server.errors import needed

if TYPE_CHECKING:
    from mcp_server.nl2sql.semantics.layer import SemanticLayer
    from mcp_server.nl2sql.translation import Translation
    from mcp_server.nl2sql.translator import Translator

__all__ = ["SemanticLayer", "Translation", "Translator"]

_HOME = {
    "SemanticLayer": "semantics.layer",
    "Translation": "translation",
    "Translator": "translator",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: whoever only catches this package's errors needs no lexicon.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with needed():
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
