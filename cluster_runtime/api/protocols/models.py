"""AWS's service models as botocore has them, read once and without their documentation."""

import threading
from functools import cache
from typing import Any

_KEPT_OUT = ("documentation", "documentationUrl", "examples")
_reading = threading.Lock()

ERROR = "ErrorOfTheService"
"""Among the operations of an answering model: how an error is written."""


def service_model(name: str) -> Any:
    """botocore's `ServiceModel` of a service, such as `rds`. Blocking; quick from then on."""
    with _reading:
        return _read(name)


def answering_model(name: str) -> Any:
    """The same with the output of each operation as its input: for what writes requests.

    Errors are the input of an operation called `ERROR`. Blocking; quick from then on.
    """
    with _reading:
        return _read_answering(name)


@cache
def _read(name: str) -> Any:
    from botocore.model import ServiceModel

    return ServiceModel(_description(name), name)


@cache
def _read_answering(name: str) -> Any:
    from botocore.model import ServiceModel

    found = _description(name)
    text = {"shape": f"{ERROR}Text"}
    found["shapes"] |= {
        text["shape"]: {"type": "string"},
        ERROR: {"type": "structure", "members": {"__type": text, "message": text}},
    }
    found["operations"] = {
        operation: {**facts, "input": facts["output"]}
        for operation, facts in found["operations"].items()
        if "output" in facts
    }
    found["operations"][ERROR] = {
        "name": ERROR,
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": ERROR},
    }
    return ServiceModel(found, name)


def _description(name: str) -> Any:
    from botocore.loaders import Loader

    # The loader keeps what it reads; a model without its words takes a fifth of the memory.
    return _without_words(Loader().load_service_model(name, "service-2"))


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        # A shape may have a member that is called `documentation`: only texts are words.
        return {
            name: _without_words(inner)
            for name, inner in value.items()
            if not (name in _KEPT_OUT and isinstance(inner, str))
        }
    if isinstance(value, list):
        return [_without_words(inner) for inner in value]
    return value
