"""Where an item is from: the run of a graph in which it is put, if it is put in one."""

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

_RUNTIME = "__pregel_runtime"
_OF_METADATA = {"node": "langgraph_node", "step": "langgraph_step"}
_OF_EXECUTION = ("thread_id", "run_id", "checkpoint_id")


def current_origin() -> str | None:
    """The origin of what is put now, as JSON; None outside of a graph's run."""
    config = var_child_runnable_config.get()
    origin = {} if config is None else origin_of(config)
    return json.dumps(origin) if origin else None


def origin_of(config: Mapping[str, Any]) -> dict[str, str | int]:
    """Thread, run, checkpoint, node and step that a run's config tells of.

    checkpoint_id: the one that the step began from, to which a thread can be forked.
    """
    metadata, configurable = config.get("metadata") or {}, config.get("configurable") or {}
    execution = getattr(configurable.get(_RUNTIME), "execution_info", None)
    found = {name: metadata.get(key) for name, key in _OF_METADATA.items()}
    found["thread_id"] = configurable.get("thread_id")
    for name in _OF_EXECUTION:
        found[name] = getattr(execution, name, None) or found.get(name)
    return {
        name: value.replace("\0", "") if isinstance(value, str) else value
        for name, value in found.items()
        if isinstance(value, (str, int))
    }
