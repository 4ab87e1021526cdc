"""Shared functions of console pages: permissions, the page frame, URLs, and integer keys of query strings."""

from collections.abc import Mapping
from typing import Any

from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse

# Integer keys with more digits can exceed the database's 64 bits.
MAX_KEY_DIGITS = 18


def require_perm(request: HttpRequest, *permissions: str) -> None:
    """Require at least one of these permissions. Raise `PermissionDenied`."""
    if not any(map(request.user.has_perm, permissions)):
        raise PermissionDenied


def render_page(
    request: HttpRequest, template: str, title: str, context: Mapping[str, Any], status: int = 200
) -> TemplateResponse:
    """Render a page, or a part of one, with the context that every page of the console has."""
    page_context = {**site.each_context(request), "title": title, **context}
    return TemplateResponse(request, template, page_context, status=status)


def console_url(view: str, *arguments: Any) -> str:
    """Return the URL of a console page, e.g. of `packs_pack_change`; '' if this server does not have the page."""
    try:
        return reverse(f"admin:{view}", args=arguments)
    except NoReverseMatch:
        return ""


def parse_key(text: str) -> int:
    """Parse an integer key from a URL; return 0 if it is invalid."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS else 0
