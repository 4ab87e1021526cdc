"""How often passwords may be tried, and what is forgotten of it: django-axes counts in the database, for everybody."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from flyte_site.console.errors import error_page
from flyte_site.rest.problems import Problem
from flyte_site.slices import delete_in_slices

# Names can be made up without end; each costs whoever tries a password's hash.
MOST_ATTEMPTS = 20_000


def address(request: HttpRequest) -> str:
    """Where a request comes from; `ProxyMiddleware` has put in what trusted proxies say."""
    return str(request.META.get("REMOTE_ADDR") or "")


def is_no_password(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> bool:
    """Whether somebody comes back from the identity provider, which counts attempts by itself."""
    return not (credentials or {}).get("username")


def refused(request: HttpRequest, *_: Any, **__: Any) -> HttpResponse:
    """429 for a name that gets no further try from this address for now."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    words = f"Too many wrong passwords for this name. Try again in {seconds // 60} minutes."
    return error_page(Problem(429, words, headers={"Retry-After": str(seconds)}))


def forget_attempts(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete the attempts that count no longer, and the oldest where there are too many; the number of them."""
    attempts = AccessAttempt.objects.order_by("attempt_time")
    last = AccessAttempt.objects.order_by("-pk").values_list("pk", flat=True)[MOST_ATTEMPTS : MOST_ATTEMPTS + 1].first()
    over = Q(attempt_time__lte=(now or timezone.now()) - settings.AXES_COOLOFF_TIME) | Q(pk__lte=last or 0)
    return attempts.filter(over).count() if dry_run else delete_in_slices(attempts.filter(over))


def forget_sessions(now: datetime | None = None, *, dry_run: bool = False) -> int:
    """Delete the sessions that are over; the number of them."""
    over = Session.objects.filter(expire_date__lte=now or timezone.now()).order_by("expire_date")
    return over.count() if dry_run else delete_in_slices(over)
