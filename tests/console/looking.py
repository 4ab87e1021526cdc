"""Helpers for tests of pages: text of a page, users with single permissions, and inactive packs."""

import html
import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from packs.models import Pack
from tests.flows import builders as b


def text_of(response: Any) -> str:
    """Return the text of a page without tags and with single spaces."""
    assert response.status_code == 200, response.content[:400]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def person_with(*codenames: str) -> Client:
    user = User.objects.create_user("special")
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def seen_ago(name: str, **ago: float) -> Pack:
    pack = b.pack(name)
    Pack.objects.filter(pk=pack.pk).update(last_seen=timezone.now() - timedelta(**ago))
    return pack
