"""Traces by OpenTelemetry, where its own variables ask for them; else nothing of it is imported.

A trace begins with an event (or with the trace that its sender is in), goes on in the actions that come of it, and in
what packs do with those as far as they hand on the header `traceparent` (W3C Trace Context).
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
MISSING_PACKAGES_MESSAGE = "asks for traces, whose packages are not installed: run `make tracing` first"
EXPORTER_VARIABLE, DISABLED_VARIABLE = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"


def is_requested(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's variables ask for traces: an endpoint does, and the exporter `otlp`."""
    if environment.get(DISABLED_VARIABLE, "").strip().lower() == "true":
        return False
    exporter = environment.get(EXPORTER_VARIABLE, "").strip().lower()
    return exporter == "otlp" or (
        not exporter and any(environment.get(name, "").strip() for name in ENDPOINT_VARIABLES)
    )


def find_configuration_error(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The variable that asks for what is not to be had here, and why."""
    exporter = environment.get(EXPORTER_VARIABLE, "").strip().lower()
    if exporter not in ("", "none", "otlp"):
        return EXPORTER_VARIABLE, f"is {exporter!r}, but must be otlp or none"
    if is_requested(environment) and not find_spec("opentelemetry"):
        return next(
            name for name in (EXPORTER_VARIABLE, *ENDPOINT_VARIABLES) if environment.get(name)
        ), MISSING_PACKAGES_MESSAGE
    for name in PROTOCOL_VARIABLES if is_requested(environment) else ():
        if (protocol := environment.get(name, "").strip()) not in ("", "http/protobuf"):
            return name, f"is {protocol!r}, but only http/protobuf is spoken here"
    return None


def start_span(name: str, parent: str = "", **attributes: str) -> AbstractContextManager[None]:
    """A span around the block, in the trace under way. Where none is, or another than that of `parent` (as in
    `traceparent`), it goes on with `parent`. Attributes are called `flyte.…`."""
    return _start_span(name, parent, attributes) if settings.FLYTE_TRACES else nullcontext()


def continue_trace(parent: str) -> AbstractContextManager[None]:
    """Within the block, spans go on with `parent`, what a caller has sent as `traceparent`."""
    return _attach_context(parent) if settings.FLYTE_TRACES and parent else nullcontext()


def get_traceparent() -> str:
    """The span under way, as the header tells it; '' where there is none."""
    if not settings.FLYTE_TRACES:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT_HEADER, "")[:MAX_TRACEPARENT_LENGTH]


@contextmanager
def _start_span(name: str, parent: str, attributes: Mapping[str, str]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind, format_trace_id

    # What an exception says may be secret: that it came is in the log.
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
    """The context of `parent`; None for the one under way, where that is of the same trace, or `parent` is none."""
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
    """This process's tracer. Made when it is first needed: what sends the spans is a thread, and no fork has it."""
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
