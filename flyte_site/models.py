"""Models of the site: runs of periodic jobs, activity log, one-time passwords, identities and tokens."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from flyte_site.db.fields import TextJSONField


class JobRun(models.Model):
    """The latest run of a periodic job. The process that changes `tick` to the current period runs the job.

    `tick` is the period of the latest run: the start of the interval, or midnight UTC of the day.
    """

    name = models.CharField(primary_key=True, max_length=60)
    tick = models.DateTimeField()
    ran_at = models.DateTimeField(null=True)
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class WriteProbe(models.Model):
    """The row that the readiness check writes."""

    written_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"written at {self.written_at}"


class Change(models.Model):
    """An entry of the activity log. `key` identifies the object within its kind, such as a flow's name.

    The class keeps its first name, which is part of a permission that roles grant and of the console's URLs.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor = models.CharField(max_length=255)
    via = models.CharField(max_length=10)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=512)
    what = models.CharField(max_length=40)
    detail: Any = TextJSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]
        default_permissions: ClassVar = ["view"]
        indexes: ClassVar = [
            models.Index(fields=["kind", "key", "id"], name="changes_of_thing"),
            models.Index(fields=["actor", "id"], name="changes_by_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.what} {self.kind} {self.key}"


class OneTimePassword(models.Model):
    """A marker of users with a generated password, which expires soon and must be changed at the first sign-in."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="one_time_password")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return str(self.user)

    @property
    def expires_at(self) -> datetime:
        """The time at which the password becomes invalid."""
        return self.made_at + timedelta(seconds=settings.FLYTE_ONE_TIME_PASSWORD_SECONDS)

    def is_expired(self, now: datetime) -> bool:
        return now >= self.expires_at


class Identity(models.Model):
    """A user's identity at the identity provider. Email addresses and names can be reassigned, subjects can't."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)

    class Meta:
        default_permissions: ClassVar = []
        constraints: ClassVar = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class Token(models.Model):
    """A token of this server. `digest` is the SHA-256 of its secret in hex, `shown` the first characters of the secret.

    It may act as packs whose name matches `pack` and that have at least these `labels`; `scopes` allow other requests.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True)
    shown = models.CharField(max_length=16)
    pack = models.CharField(max_length=255, blank=True, default="")
    labels: Any = TextJSONField(default=dict)
    scopes: Any = TextJSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar = []
        permissions: ClassVar = [("manage_token", "Can view, create and revoke tokens")]

    def __str__(self) -> str:
        return self.name

    def is_usable(self, now: datetime) -> bool:
        """Return True if the token is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
