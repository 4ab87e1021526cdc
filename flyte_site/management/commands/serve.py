"""`manage.py serve`: the web processes."""

import errno
import gc
import logging
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from flyte_site.auth.exposure import get_exposure_warning
from flyte_site.auth.routes import find_unreachable_rules
from flyte_site.console.oidc_users import find_missing_roles
from flyte_site.core.observability.metrics import shared_directory, use_shared_directory
from flyte_site.db.postgresql.base import use_connection_pool
from flyte_site.server.accept_balancing import ConnectionCounts, WorkerSlot
from flyte_site.server.connection_worker import ConnectionWorker
from flyte_site.server.connections import MAX_REQUEST_LINE_BYTES
from flyte_site.server.db_setup import require_migrated, set_up_first_admin, try_create_first_admin
from flyte_site.server.inherited_sockets import (
    find_inherited_socket_error,
    find_inherited_sockets,
    take_inherited_sockets,
)
from flyte_site.server.invalid_requests import MAX_HEADER_FIELDS
from flyte_site.server.memory import return_freed_memory
from flyte_site.server.start_notice import format_start_box, is_on_terminal
from flyte_site.server.tls import ReloadableCertificate
from flyte_site.wsgi import application
from packs.queue.long_poll import long_poll_hub

log = structlog.get_logger(__name__)

certificate = ReloadableCertificate(settings.FLYTE_TLS_CERT_PATH, settings.FLYTE_TLS_KEY_PATH)

GRACE_SECONDS = 30
# The time for which a worker leaves new connections to others, at the resolution of the system's timers.
YIELD_SECONDS = 0.001
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PORT_IN_USE_HINT = "; stop the process that uses it, or set FLYTE_PORT to a different port"
ACCESS_LOG_FORMAT = '%(h)s "%(r)s" %(s)s %(b)s "%(a)s" request_id=%({x-request-id}o)s'


class GunicornApplication(BaseApplication):
    """gunicorn, configured from the settings instead of its configuration files."""

    def __init__(self, on_ready: Callable[[Any], None]) -> None:
        self._on_ready = on_ready
        super().__init__()

    def load_config(self) -> None:
        for name, value in {**build_gunicorn_options(), "when_ready": self._on_ready}.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application

    def run(self) -> None:
        FlyteArbiter(self).run()


class AccessLogger(Logger):
    """gunicorn's logger, which formats access log lines only if they are logged."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self._access_log_enabled = self.access_log.isEnabledFor(logging.INFO)


class FlyteArbiter(Arbiter):
    """gunicorn's master: on Ctrl-C it stops gracefully like on SIGTERM, on SIGHUP it reloads the certificate."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        connection_counts = ConnectionCounts()
        self.cfg.set("pre_fork", lambda _, worker: setattr(worker, "slot", connection_counts.register_worker()))
        self.cfg.set("child_exit", lambda _, worker: connection_counts.release_worker(worker.slot))

    def spawn_worker(self) -> Any:
        """Fork a worker with signals blocked: one that arrives before the worker has its handlers would be lost."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def handle_int(self) -> None:
        self.handle_term()

    def handle_hup(self) -> None:
        if settings.FLYTE_TLS_CERT_PATH and certificate.load():
            self.kill_workers(signal.SIGHUP)


class FlyteWorker(ConnectionWorker):
    """gunicorn's worker: when it stops or its master has ended, it closes its listeners and answers waiting polls.

    gunicorn's own worker keeps listeners open, without accepting, while a request is in progress: clients would
    connect, wait and be dropped in the end, instead of being refused and trying again at once, and a new master could
    not listen. This worker also leaves new connections to workers that have fewer.
    """

    slot: WorkerSlot
    _yields_until = 0.0

    def init_process(self) -> None:
        if connection.vendor == "postgresql":
            use_connection_pool()
        super().init_process()

    def is_parent_alive(self) -> bool:
        if not super().is_parent_alive():
            self.alive = False
        return bool(self.alive)

    def init_signals(self) -> None:
        super().init_signals()
        # A terminal sends Ctrl-C to all processes; a worker must not drop its requests before the master stops it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, lambda *_: certificate.load() if settings.FLYTE_TLS_CERT_PATH else None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def accept(self, listener: Any) -> None:
        if self.slot.should_yield():
            self._yields_until = time.monotonic() + YIELD_SECONDS
            super().set_accept_enabled(False)
        else:
            super().accept(listener)
            self.slot.set_count(self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        if self.alive:
            self.slot.set_count(self.nr_conns)
        remaining = self._yields_until - time.monotonic()
        super().wait_for_and_dispatch_events(remaining if remaining > 0 else timeout)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._yields_until)
        if not self.alive:
            self.slot.stop_accepting()
            long_poll_hub().stop()
            for listener in self.sockets:
                listener.close()


def build_gunicorn_options() -> dict[str, Any]:
    """Build gunicorn's settings: several processes with several threads each, and a graceful stop."""
    options = {
        "bind": [f"fd://{fd}" for fd in take_inherited_sockets()] or [f"{settings.FLYTE_BIND}:{settings.FLYTE_PORT}"],
        "workers": settings.FLYTE_WEB_WORKERS,
        "worker_class": FlyteWorker,
        "threads": settings.FLYTE_WEB_THREADS,
        "graceful_timeout": GRACE_SECONDS,
        "timeout": 60,
        "keepalive": 75,
        "sendfile": False,  # its time limit is for a pause, and not for the whole file
        "forwarder_headers": "",  # a client's SCRIPT_NAME would change the path
        "forwarded_allow_ips": "",  # flyte_site.http.middleware handles the headers of proxies
        "worker_connections": max(settings.FLYTE_WEB_CONNECTIONS, settings.FLYTE_WEB_THREADS + 1),
        "limit_request_line": MAX_REQUEST_LINE_BYTES,
        "limit_request_field_size": settings.FLYTE_MAX_HEADER_BYTES,
        "limit_request_fields": MAX_HEADER_FIELDS,
        "logconfig_dict": settings.LOGGING,
        "accesslog": "-",
        "access_log_format": ACCESS_LOG_FORMAT,
        "logger_class": AccessLogger,
        "proc_name": "flyte",
        "control_socket_disable": True,
    }
    if settings.FLYTE_TLS_CERT_PATH:
        options |= {
            "certfile": settings.FLYTE_TLS_CERT_PATH,
            "keyfile": settings.FLYTE_TLS_KEY_PATH,
            "ssl_context": lambda config, default_factory: certificate.context,
        }
    return options


def raise_open_file_limit() -> None:
    """Raise the limit of open files to the system's maximum, because each thread can open a connection and files."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard_limit, hard_limit))


def find_bind_error() -> str:
    """Return an error if the server can't listen on its address, else ''. gunicorn would retry for seconds."""
    if inherited := find_inherited_sockets():
        return next(filter(None, map(find_inherited_socket_error, inherited)), "")
    host = settings.FLYTE_BIND.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, settings.FLYTE_PORT, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        variable = "FLYTE_PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "FLYTE_BIND"
        hint = PORT_IN_USE_HINT if error.errno == errno.EADDRINUSE else ""
        reason = error.strerror or error
        return f"{variable}: can't listen on {settings.FLYTE_BIND}:{settings.FLYTE_PORT} ({reason}){hint}"
    return ""


def find_role_error() -> str:
    """Return an error if FLYTE_CONSOLE_ROLES names missing roles; '' if not, or if the database is unavailable."""
    try:
        missing = find_missing_roles()
    except OperationalError:
        return ""
    return f"FLYTE_CONSOLE_ROLES: role not found: {', '.join(missing)}; create it in the console" if missing else ""


class Command(BaseCommand):
    """The command that serves until stopped."""

    help = (
        "Serve the API and the console (settings: docs/reference/settings.md). SIGTERM or Ctrl-C finishes requests in "
        "progress and stops; SIGHUP reloads the TLS certificate."
    )

    def handle(self, *args: Any, **arguments: Any) -> None:
        if bind_error := find_bind_error():
            self.stderr.write(f"flyte: {bind_error}")
            sys.exit(2)
        require_migrated()
        password = None
        if is_on_terminal():
            password = try_create_first_admin()
        else:
            set_up_first_admin()
        if role_error := find_role_error():
            log.warning("roles_unknown", notice=role_error)
        connection.close()
        if notice := get_exposure_warning():
            log.warning("open_to_everybody", notice=notice)
        for rule in find_unreachable_rules(settings.FLYTE_AUTH_POLICY):
            log.warning("policy_without_route", path=rule.pattern.path, line=rule.line)
        if settings.FLYTE_TLS_CERT_PATH and not certificate.load():
            sys.exit(2)
        raise_open_file_limit()
        return_freed_memory()
        scheme = "https" if settings.FLYTE_TLS_CERT_PATH else "http"
        address = f"{scheme}://{settings.FLYTE_BIND}:{settings.FLYTE_PORT}"
        on_ready: Callable[[Any], None] = lambda _: None  # noqa: E731 - a hook of gunicorn
        if is_on_terminal():
            box = format_start_box(address, password)
            on_ready = lambda _: print(box, file=sys.stderr, flush=True)  # noqa: E731
        elif settings.FLYTE_LOG_FORMAT == "json":
            log.info("serving", address=address)
        else:
            self.stderr.write(f"flyte: serving on {address}")
        with shared_directory(settings.FLYTE_METRICS_PATH) as folder:
            use_shared_directory(folder)
            # Exempt all loaded objects from garbage collection, which would slow down the requests of workers and
            # copy the memory that they share.
            gc.collect()
            gc.freeze()
            GunicornApplication(on_ready).run()
