"""Traces with OpenTelemetry if its variables enable them; otherwise its packages are not imported.

A trace starts with an event, or continues that of the sender. It includes the actions that the event causes, and the
spans of packs that forward the header `traceparent` (W3C Trace Context).
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

from django.conf import settings
from structlog.contextvars import bound_contextvars

from flyte_site.core.runtime import process_wide

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

TRACEPARENT_HEADER = "traceparent"
MAX_TRACEPARENT_LENGTH = 55
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
MISSING_PACKAGES_MESSAGE = "requests traces, but their packages are not installed: run `make tracing` first"
EXPORTER_VARIABLE, DISABLED_VARIABLE = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"


def is_requested(environment: Mapping[str, str]) -> bool:
    """Return True if OpenTelemetry's variables enable traces, by an endpoint or the exporter `otlp`."""
    if environment.get(DISABLED_VARIABLE, "").strip().lower() == "true":
        return False
    exporter = environment.get(EXPORTER_VARIABLE, "").strip().lower()
    return exporter == "otlp" or (
        not exporter and any(environment.get(name, "").strip() for name in ENDPOINT_VARIABLES)
    )


def find_configuration_error(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the variable with an unsupported value and the error, or None."""
    exporter = environment.get(EXPORTER_VARIABLE, "").strip().lower()
    if exporter not in ("", "none", "otlp"):
        return EXPORTER_VARIABLE, f"is {exporter!r}, but must be otlp or none"
    if is_requested(environment) and not find_spec("opentelemetry"):
        return next(
            name for name in (EXPORTER_VARIABLE, *ENDPOINT_VARIABLES) if environment.get(name)
        ), MISSING_PACKAGES_MESSAGE
    for name in PROTOCOL_VARIABLES if is_requested(environment) else ():
        if (protocol := environment.get(name, "").strip()) not in ("", "http/protobuf"):
            return name, f"is {protocol!r}, but must be http/protobuf"
    return None


def start_span(name: str, parent: str = "", **attributes: str) -> AbstractContextManager[None]:
    """Start a span for the block in the current trace, or in that of `parent` (a `traceparent`) if it differs.

    The names of attributes get the prefix `flyte.`.
    """
    return _start_span(name, parent, attributes) if settings.FLYTE_TRACES else nullcontext()


def continue_trace(parent: str) -> AbstractContextManager[None]:
    """Continue the trace of `parent`, the `traceparent` of a caller, within the block."""
    return _attach_context(parent) if settings.FLYTE_TRACES and parent else nullcontext()


def get_traceparent() -> str:
    """Return the current span as the value of the header, or ''."""
    if not settings.FLYTE_TRACES:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT_HEADER, "")[:MAX_TRACEPARENT_LENGTH]


@contextmanager
def _start_span(name: str, parent: str, attributes: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind, format_trace_id

    # The message of an exception can contain secrets; the log has its redacted form.
    with (
        _tracer().start_as_current_span(
            name,
            context=_parent_context(parent),
            kind=SpanKind.SERVER,
            attributes={f"flyte.{key}": value for key, value in attributes.items() if value},
            record_exception=False,
            set_status_on_exception=False,
        ) as current_span,
        bound_contextvars(trace_id=format_trace_id(current_span.get_span_context().trace_id)),
    ):
        yield


def _parent_context(parent: str) -> "Context | None":
    """Return the context of `parent`; None to use the current one: if it has the same trace, or `parent` is invalid."""
    from opentelemetry.trace import get_current_span

    context = _extract_context(parent)
    parent_trace = get_current_span(context).get_span_context().trace_id
    current_trace = get_current_span().get_span_context().trace_id
    return context if parent_trace and parent_trace != current_trace else None


def _extract_context(parent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT_HEADER: parent}, Context())


@contextmanager
def _attach_context(parent: str) -> Iterator[None]:
    from opentelemetry.context import attach, detach

    token = attach(_extract_context(parent))
    try:
        yield
    finally:
        detach(token)


@process_wide
def _tracer() -> "Tracer":
    """Create this process's tracer, on first use: the thread that sends its spans does not survive a fork."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    has_service_name = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    attributes = {} if has_service_name else {"service.name": "flyte"}
    provider = TracerProvider(resource=Resource.create(attributes))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("flyte")
