"""Having LangGraph name the classes of a graph's state to the saver, whenever a graph is compiled.

It does so by itself only where LANGGRAPH_STRICT_MSGPACK is set; for savers whose serializer has no
allow-list (LangGraph's own, by default) the call changes nothing.
"""

import importlib

WHERE, SWITCH = "langgraph._internal._serde", "STRICT_MSGPACK_ENABLED"


def have_classes_named() -> bool:
    """Whether graphs compiled from now on name the classes of their state."""
    try:
        module = importlib.import_module(WHERE)
    except ImportError:
        return False  # another LangGraph: what is refused names the line to add
    if not hasattr(module, SWITCH):
        return False
    setattr(module, SWITCH, True)
    return True
