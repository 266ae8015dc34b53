"""OpenTelemetry spans, for whoever asks for them. For all others nothing is loaded or done.

Two ways to ask. A process of ours (a host, `borealis mcp`) exports when the standard variables say
so. In a program that has set OpenTelemetry up by itself, spans go where its own go.

No span has the text of a statement, unless `BOREALIS_TRACE_STATEMENTS=1`.

Source: OpenTelemetry specification, "Environment Variable Specification", "OpenTelemetry Protocol
Exporter"; its semantic conventions, "Database" and "Recording errors"; W3C Trace Context.
"""

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.redaction import redacted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

EXPORTER_VARIABLE = "OTEL_TRACES_EXPORTER"
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
STATEMENTS_VARIABLE = "BOREALIS_TRACE_STATEMENTS"
END_SECONDS_MAX = 3.0
"""How long a process that ends waits for a collector to take the last spans."""
ON_POSTGRESQL = {"db.system.name": "postgresql"}
TRACER = "borealis"

Attributes = Mapping[str, str | int | float | bool | None]

_log = get_logger(__name__)


def span(name: str, attributes: Attributes) -> AbstractContextManager[None]:
    """A span as long as the block, with the error that leaves it. Attributes that are None are not.

    Of an error it has the class, and the text where that is one of ours, without secrets: those of
    PostgreSQL quote statements.
    """
    api: Any = sys.modules.get("opentelemetry.trace")
    if not hasattr(api, "get_tracer"):  # not loaded, or just being loaded
        return nullcontext()
    return _span(api, name, attributes)


def annotate(attributes: Attributes) -> None:
    """Add attributes to the span that another package has begun around us."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if hasattr(api, "get_current_span"):
        api.get_current_span().set_attributes(_present(attributes))


def context_headers() -> dict[str, str]:
    """What tells another process which span its own belong to: `traceparent`; empty without one."""
    headers: dict[str, str] = {}
    if hasattr(sys.modules.get("opentelemetry.trace"), "get_tracer"):
        from opentelemetry import propagate

        propagate.inject(headers)
    return headers


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """Within the block, spans belong to the one that a caller has named in `context_headers`."""
    if "traceparent" not in headers or "opentelemetry.trace" not in sys.modules:
        yield
        return
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(headers))
    try:
        yield
    finally:
        context.detach(token)


def traces_statements(environment: Mapping[str, str]) -> bool:
    """Whether spans are to have the text of statements."""
    return environment.get(STATEMENTS_VARIABLE, "").lower() in ("1", "true")


def exporters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Which exporters the standard variables ask for: `otlp`, `console`; by default none.

    Where only the endpoint of a collector is named, that is to say `otlp`.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    named = environment.get(EXPORTER_VARIABLE, "").strip()
    if not named:
        return ("otlp",) if any(environment.get(each) for each in ENDPOINT_VARIABLES) else ()
    return tuple(each for part in named.split(",") if (each := part.strip().lower()) != "none")


@contextmanager
def exporting(environment: Mapping[str, str]) -> Iterator[None]:
    """Within the block this process exports spans, where the standard variables ask for that.

    What cannot be exported is logged; it keeps nothing from being done.
    """
    wanted = exporters(environment)
    provider = _provider(wanted, environment) if wanted else None
    try:
        yield
    finally:
        if provider is not None:
            # A collector that does not answer would keep the process for half a minute.
            ending = threading.Thread(target=provider.shutdown, name="borealis-traces", daemon=True)
            ending.start()
            ending.join(END_SECONDS_MAX)


@contextmanager
def _span(api: Any, name: str, attributes: Attributes) -> Iterator[None]:
    with api.get_tracer(TRACER).start_as_current_span(
        name,
        attributes=_present(attributes),
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            said = redacted(str(error)) if isinstance(error, BorealisError) else None
            current.set_attribute("error.type", type(error).__qualname__)
            current.set_status(api.StatusCode.ERROR, said)
            raise


def _present(attributes: Attributes) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _provider(wanted: tuple[str, ...], environment: Mapping[str, str]) -> "TracerProvider | None":
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        _not_exported(f"{error}; pip install 'borealis-postgres[otel]'")
        return None
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None  # the program, or `opentelemetry-instrument`, exports by itself
    from importlib.metadata import version

    ours = {"service.version": version("borealis-postgres")}
    named = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not environment.get("OTEL_SERVICE_NAME") and "service.name=" not in named:
        ours["service.name"] = "borealis"
    provider = TracerProvider(resource=Resource.create(ours), shutdown_on_exit=False)
    for name in wanted:
        exporter = _exporter(name)
        if exporter is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def _exporter(name: str) -> Any:
    match name:
        case "otlp":
            try:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            except ImportError as error:
                _not_exported(f"{error}; pip install 'borealis-postgres[otel]'")
                return None
            return OTLPSpanExporter()
        case "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            # Standard output belongs to results, and to the MCP protocol.
            return ConsoleSpanExporter(
                out=sys.stderr, formatter=lambda each: each.to_json(indent=None) + os.linesep
            )
        case _:
            _not_exported(f"{EXPORTER_VARIABLE}={name} is none of otlp, console and none")
            return None


def _not_exported(reason: str) -> None:
    _log.warning("traces are not exported", reason=reason)
