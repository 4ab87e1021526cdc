"""Limits of sign-in attempts with wrong passwords, which django-axes counts in the database, and their pruning."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flyte_site.console.error_pages import render_error_page
from flyte_site.db.batch_deletion import delete_in_batches
from flyte_site.http.problems import Problem

# Attempts with made-up names need a limit. Each attempt costs the client the time of a password hash.
MAX_ATTEMPTS = 20_000


def get_client_address(request: HttpRequest) -> str:
    """Return the client's address; `TrustedProxyMiddleware` has replaced the address of a trusted proxy."""
    return str(request.META.get("REMOTE_ADDR") or "")


def is_oidc_login(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> bool:
    """Return True for a sign-in at the identity provider, which counts attempts itself."""
    return not (credentials or {}).get("username")


def lockout_response(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """Render 429 for a name that is locked for this address."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    message = f"Too many wrong passwords for this name. Try again in {seconds // 60} minutes."
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
