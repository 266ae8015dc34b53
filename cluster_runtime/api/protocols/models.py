"""AWS's service models as botocore has them, read once and without their documentation."""

import threading
from functools import cache
from typing import Any

_KEPT_OUT = ("documentation", "documentationUrl", "examples")
_reading = threading.Lock()


def service_model(name: str) -> Any:
    """botocore's `ServiceModel` of a service, such as `rds`. Blocking; quick from then on."""
    with _reading:
        return _read(name)


@cache
def _read(name: str) -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    loader = Loader()
    # The loader keeps what it reads; a model without its words takes a fifth of the memory.
    return ServiceModel(_without_words(loader.load_service_model(name, "service-2")), name)


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
