"""A fake OpenTelemetry collector, which receives spans over OTLP/HTTP and stores them."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE = 60.0


@dataclass(frozen=True)
class Span:
    """A received span: ids in hex, `parent` is '' for a root span."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]
    service: str


class Collector:
    """The store of the received spans."""

    def __init__(self) -> None:
        self.url = ""
        self._spans: list[Span] = []
        self._changed = threading.Condition()

    def take(self, body: bytes) -> None:
        """Store the spans of a request."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            for resource in request.resource_spans:
                service = {item.key: item.value.string_value for item in resource.resource.attributes}["service.name"]
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        attributes = {item.key: item.value.string_value for item in span.attributes}
                        ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                        self._spans.append(Span(span.name, *ids, attributes, service))
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[Span]:
        """Wait until `count` spans are received, and return them; fail after PATIENCE seconds."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self._spans) >= count, PATIENCE)
            assert arrived, f"of {count} spans came {self._spans}"
            return list(self._spans)


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port during the block."""
    received = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    received.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
