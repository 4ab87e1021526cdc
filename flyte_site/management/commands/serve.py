"""`manage.py serve`: the web processes."""

import errno
import gc
import logging
import resource
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from flyte_site.auth.openness import openness
from flyte_site.auth.routes import rules_without_route
from flyte_site.console.people import missing_roles
from flyte_site.crowds import Crowd, Crowds
from flyte_site.meters import share, shared_folder
from flyte_site.migration import refuse_without_tables, welcome
from flyte_site.postgresql.base import share_connections
from flyte_site.tls import Certificate
from flyte_site.wsgi import application
from packs.waiting import watcher

log = structlog.get_logger(__name__)

certificate = Certificate(settings.FLYTE_TLS_CERT_PATH, settings.FLYTE_TLS_KEY_PATH)

GRACE_SECONDS = 30
# For how long a worker leaves what came to another; the system counts no less.
REST_SECONDS = 0.001
ACCESS_LINE = '%(h)s "%(r)s" %(s)s %(b)s "%(a)s" request_id=%({x-request-id}o)s'


class Server(BaseApplication):
    """gunicorn, set up from the settings instead of its own files."""

    def load_config(self) -> None:
        for name, value in options().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return application

    def run(self) -> None:
        Master(self).run()


class Log(Logger):
    """Makes up the line of the access log only where somebody will read it."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self._access_log_enabled = self.access_log.isEnabledFor(logging.INFO)


class Master(Arbiter):
    """Ctrl-C is a stop like any other: requests under way are finished. SIGHUP renews the certificate."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        crowds = Crowds()
        self.cfg.set("pre_fork", lambda _, worker: setattr(worker, "crowd", crowds.crowd()))
        self.cfg.set("child_exit", lambda _, worker: crowds.free(worker.crowd))

    def handle_int(self) -> None:
        self.handle_term()

    def handle_hup(self) -> None:
        if settings.FLYTE_TLS_CERT_PATH and certificate.read():
            self.kill_workers(signal.SIGHUP)


class Worker(ThreadWorker):
    """Closes its listeners, and answers the polls that wait, when it is told to stop or its master is gone.

    gunicorn's own worker keeps them open, without accepting, as long as a request is under way: callers would connect,
    wait, and be dropped at the end, instead of being refused and trying again at once. Nor could a new master listen.
    It leaves a connection to another worker that has fewer.
    """

    crowd: Crowd
    _rests_until = 0.0

    def init_process(self) -> None:
        if connection.vendor == "postgresql":
            share_connections()
        super().init_process()

    def is_parent_alive(self) -> bool:
        if not super().is_parent_alive():
            self.alive = False
        return bool(self.alive)

    def init_signals(self) -> None:
        super().init_signals()
        # A terminal sends Ctrl-C to every process; a worker must not drop its requests before the master has asked.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, lambda *_: certificate.read() if settings.FLYTE_TLS_CERT_PATH else None)

    def accept(self, listener: Any) -> None:
        if self.crowd.leaves_it():
            self._rests_until = time.monotonic() + REST_SECONDS
            super().set_accept_enabled(False)
        else:
            super().accept(listener)
            self.crowd.note(self.nr_conns)

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        if self.alive:
            self.crowd.note(self.nr_conns)
        rest = self._rests_until - time.monotonic()
        super().wait_for_and_dispatch_events(rest if rest > 0 else timeout)

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled and time.monotonic() >= self._rests_until)
        if not self.alive:
            self.crowd.leave()
            watcher().stop()
            for listener in self.sockets:
                listener.close()


def options() -> dict[str, Any]:
    """gunicorn's settings: several processes, each with several threads; on a stop, what is under way is finished."""
    found = {
        "bind": [f"{settings.FLYTE_BIND}:{settings.FLYTE_PORT}"],
        "workers": settings.FLYTE_WEB_WORKERS,
        "worker_class": Worker,
        "threads": settings.FLYTE_WEB_THREADS,
        "graceful_timeout": GRACE_SECONDS,
        "timeout": 60,
        "keepalive": 75,
        "forwarder_headers": "",  # a caller's SCRIPT_NAME would move the path
        "forwarded_allow_ips": "",  # flyte_site.rest.proxies judges what proxies say
        "limit_request_line": 8190,  # a pack's id of 512 characters, each of which may be escaped as twelve
        "logconfig_dict": settings.LOGGING,
        "accesslog": "-",
        "access_log_format": ACCESS_LINE,
        "logger_class": Log,
        "proc_name": "flyte",
        "control_socket_disable": True,
    }
    if settings.FLYTE_TLS_CERT_PATH:
        found |= {
            "certfile": settings.FLYTE_TLS_CERT_PATH,
            "keyfile": settings.FLYTE_TLS_KEY_PATH,
            "ssl_context": lambda config, default_factory: certificate.context,
        }
    return found


def allow_open_files() -> None:
    """As many as the system lets this process have: each thread may have a connection and files of its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def address_fault() -> str:
    """What keeps the server from listening where it is told to; '' if nothing does. gunicorn would try for long."""
    host = settings.FLYTE_BIND.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, settings.FLYTE_PORT, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        variable = "FLYTE_PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "FLYTE_BIND"
        return f"{variable}: can't listen on {settings.FLYTE_BIND}:{settings.FLYTE_PORT} ({error.strerror or error})"
    return ""


def roles_fault() -> str:
    """What FLYTE_CONSOLE_ROLES gives in vain; '' if nothing, or if the database does not answer now."""
    try:
        missing = missing_roles()
    except OperationalError:
        return ""
    return f"FLYTE_CONSOLE_ROLES: there is no role {', '.join(missing)}" if missing else ""


class Command(BaseCommand):
    """Serves until it is told to stop."""

    help = (
        "Serve the API (settings: docs/reference/settings.md). SIGTERM or Ctrl-C finishes what is under way and stops; "
        "SIGHUP reads the TLS certificate anew."
    )

    def handle(self, *args: Any, **arguments: Any) -> None:
        if fault := address_fault():
            self.stderr.write(f"flyte: {fault}")
            sys.exit(2)
        refuse_without_tables()
        welcome()
        if unknown := roles_fault():
            log.warning("roles_unknown", notice=unknown)
        connection.close()
        if notice := openness():
            log.warning("open_to_everybody", notice=notice)
        for rule in rules_without_route(settings.FLYTE_AUTH_POLICY):
            log.warning("policy_without_route", path=rule.pattern.path, line=rule.line)
        if settings.FLYTE_TLS_CERT_PATH and not certificate.read():
            sys.exit(2)
        allow_open_files()
        scheme = "https" if settings.FLYTE_TLS_CERT_PATH else "http"
        address = f"{scheme}://{settings.FLYTE_BIND}:{settings.FLYTE_PORT}"
        if settings.FLYTE_LOG_FORMAT == "json":
            log.info("serving", address=address)
        else:
            self.stderr.write(f"flyte: serving on {address}")
        with shared_folder(settings.FLYTE_METRICS_PATH) as folder:
            share(folder)
            # What is there now is there to stay: no worker looks through it for garbage, which would hold up all that
            # it has under way, nor copies it by that.
            gc.collect()
            gc.freeze()
            Server().run()
