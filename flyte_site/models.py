"""What belongs to no app: when each job last ran, who changed what, passwords to be changed, identities, tokens."""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from flyte_site.db.fields import TextJSONField


class JobRun(models.Model):
    """One row a job. Who changes `tick` from an earlier one to the current one, and nobody else, does the job then.

    `tick` names the time that the job last ran for: the beginning of its interval, or its day as midnight in UTC.
    """

    name = models.CharField(primary_key=True, max_length=60)
    tick = models.DateTimeField()
    ran_at = models.DateTimeField(null=True)
    runs = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class Change(models.Model):
    """Who did what to which thing, and when. `key` is what the thing is called where it is, such as a flow's name."""

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
    """Says that a person's password was made for them, must be changed at the first sign-in, and ends soon."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="one_time_password")
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions: ClassVar = []

    def __str__(self) -> str:
        return str(self.user)

    @property
    def expires_at(self) -> datetime:
        """Until when it opens anything."""
        return self.made_at + timedelta(seconds=settings.FLYTE_ONE_TIME_PASSWORD_SECONDS)

    def is_expired(self, now: datetime) -> bool:
        return now >= self.expires_at


class Identity(models.Model):
    """Who a person is at the identity provider: an address or name may go to somebody else, the subject never does."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)

    class Meta:
        default_permissions: ClassVar = []
        constraints: ClassVar = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class Token(models.Model):
    """A token of this server. `digest` is the SHA-256 of its secret in hex, `shown` how the secret begins.

    It may act as packs whose name `pack` stands for and that have at least these `labels`; `scopes` says what else.
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
        permissions: ClassVar = [("manage_token", "Can see, make and revoke tokens")]

    def __str__(self) -> str:
        return self.name

    def is_usable(self, now: datetime) -> bool:
        """Whether it counts at this time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
