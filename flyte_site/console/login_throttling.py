"""Limits of sign-in attempts with wrong passwords, which django-axes counts in the database, and their pruning."""

import ipaddress
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog
from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.models import Session
from django.db.models import Q, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flyte_site.console.error_pages import render_error_page
from flyte_site.core.runtime import process_wide
from flyte_site.db.batch_deletion import delete_in_batches
from flyte_site.http.problems import Problem

log = structlog.get_logger(__name__)

# Attempts with made-up names need a limit. Each attempt costs the client the time of a password hash.
MAX_ATTEMPTS = 20_000
# The limit of wrong passwords from an address, for all names together. It is higher than the limit for each name,
# because people can share an address.
MAX_FAILURES_PER_ADDRESS = 50
# An IPv6 client can use any address of its network.
IPV6_PREFIX_LENGTH = 64
# The hash of a password takes a processor for a large part of a second. More sign-ins at the same time wait, each with
# a thread, and further ones are rejected, so that sign-ins leave threads and processors to other requests.
MAX_HASHING, MAX_HASHING_AND_WAITING = 2, 8
BUSY_MESSAGE = "too many people sign in at the same time; try again"
BUSY_RETRY_SECONDS = 2


def get_client_address(request: HttpRequest) -> str:
    """Return the client's address, or the network of an IPv6 address.

    `TrustedProxyMiddleware` has replaced the address of a trusted proxy.
    """
    address = str(request.META.get("REMOTE_ADDR") or "")
    try:
        if ipaddress.ip_address(address).version == 6:
            return str(ipaddress.ip_network(f"{address}/{IPV6_PREFIX_LENGTH}", strict=False).network_address)
    except ValueError:
        pass
    return address


class SignInHandler(AxesDatabaseHandler):  # type: ignore[misc]
    """The lockout of a name for an address, and of an address for all names."""

    def is_locked(self, request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> bool:
        return super().is_locked(request, credentials) or self._count_failures(request) >= MAX_FAILURES_PER_ADDRESS

    def user_login_failed(
        self, sender: Any, credentials: Mapping[str, Any], request: HttpRequest | None = None, **details: Any
    ) -> None:
        """Count the failure, and log its address; not the name, which can be a password typed into the wrong field."""
        super().user_login_failed(sender, credentials, request, **details)
        if request is not None:
            is_locked = bool(getattr(request, "axes_locked_out", False))
            log.warning("sign_in_failed", address=get_client_address(request), locked_out=is_locked)

    def _count_failures(self, request: HttpRequest) -> int:
        """Count the wrong passwords from the request's address, for all names."""
        attempts = AccessAttempt.objects.filter(
            ip_address=get_client_address(request) or None, attempt_time__gte=get_cool_off_threshold(request)
        )
        return attempts.aggregate(count=Sum("failures_since_start"))["count"] or 0


class PasswordHashing:
    """The password checks of this process that run or wait."""

    def __init__(self) -> None:
        self._places = threading.Semaphore(MAX_HASHING_AND_WAITING)
        self._hashing = threading.Semaphore(MAX_HASHING)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a slot, and keep it while the block runs. Raises `Problem` 503 if too many wait."""
        if not self._places.acquire(blocking=False):
            raise Problem(503, BUSY_MESSAGE, headers={"Retry-After": str(BUSY_RETRY_SECONDS)})
        try:
            with self._hashing:
                yield
        finally:
            self._places.release()


@process_wide
def password_hashing() -> PasswordHashing:
    return PasswordHashing()


class PasswordBackend(ModelBackend):
    """Django's check of passwords, with a limit of concurrent ones."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> Any:
        with password_hashing().slot():
            return super().authenticate(request, *args, **credentials)


def is_oidc_login(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> bool:
    """Return True for a sign-in at the identity provider, which counts attempts itself."""
    return not (credentials or {}).get("username")


def lockout_response(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Render 429 for a name that is locked for this address, or for an address that is locked."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    message = f"Too many wrong passwords for this name, or from your network. Try again in {seconds // 60} minutes."
    return render_error_page(Problem(429, message, headers={"Retry-After": str(seconds)}))


def prune_login_attempts(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete the expired attempts, and the oldest if there are too many; return how many."""
    attempts = AccessAttempt.objects.order_by("attempt_time")
    cutoff_pk = (
        AccessAttempt.objects.order_by("-pk").values_list("pk", flat=True)[MAX_ATTEMPTS : MAX_ATTEMPTS + 1].first()
    )
    is_expired = Q(attempt_time__lte=(now or timezone.now()) - settings.AXES_COOLOFF_TIME) | Q(pk__lte=cutoff_pk or 0)
    return attempts.filter(is_expired).count() if dry_run else delete_in_batches(attempts.filter(is_expired))


def prune_sessions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete the expired sessions; return how many."""
    expired = Session.objects.filter(expire_date__lte=now or timezone.now()).order_by("expire_date")
    return expired.count() if dry_run else delete_in_batches(expired)
