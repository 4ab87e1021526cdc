"""The console's middleware, which only requests of the console pass through."""

import sys
from types import FrameType
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def find_called_middleware(path: str) -> list[str]:
    """Request a path, and return the dotted paths of the middleware that is called, in order."""
    lists = (settings.FLYTE_API_MIDDLEWARE, settings.FLYTE_PAGE_MIDDLEWARE, settings.FLYTE_CONSOLE_MIDDLEWARE)
    configured = {*settings.MIDDLEWARE, *(middleware for paths in lists for middleware in paths)}
    called: dict[str, None] = {}
    client = Client()

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_name == "__call__":
            middleware = type(frame.f_locals.get("self"))
            called[f"{middleware.__module__}.{middleware.__qualname__}"] = None

    sys.setprofile(profile)
    try:
        client.get(path)
    finally:
        sys.setprofile(None)
    return [middleware for middleware in called if middleware in configured]


@pytest.mark.parametrize("path", ["/v1", "/v1/packs", "/v1/unknown", "/health", "/swagger-config"])
def test_requests_of_the_api_pass_its_own_middleware_only(path: str) -> None:
    assert find_called_middleware(path) == [*settings.MIDDLEWARE, *settings.FLYTE_API_MIDDLEWARE]
    assert len(settings.MIDDLEWARE + settings.FLYTE_API_MIDDLEWARE) == 9


@pytest.mark.parametrize("path", ["/metrics", "/swagger", "/unknown"])
def test_other_requests_skip_the_console_middleware(path: str) -> None:
    assert find_called_middleware(path) == [*settings.MIDDLEWARE, *settings.FLYTE_PAGE_MIDDLEWARE]
    assert len(settings.FLYTE_PAGE_MIDDLEWARE) == 10


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/login/", "/admin/unknown"])
def test_console_requests_pass_the_console_middleware_too(path: str) -> None:
    page_middleware = [*settings.MIDDLEWARE, *settings.FLYTE_PAGE_MIDDLEWARE]
    assert find_called_middleware(path) == [*page_middleware, *settings.FLYTE_CONSOLE_MIDDLEWARE]
    assert len(settings.FLYTE_CONSOLE_MIDDLEWARE) == 7


def test_a_form_without_its_token_is_refused() -> None:
    browser = Client(enforce_csrf_checks=True)
    assert browser.post("/admin/login/", {"username": "ann", "password": "secret"}).status_code == 403
    assert browser.post("/v1/packs", "{}", content_type="application/json").status_code == 400


def test_a_defect_in_the_console_middleware_is_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.contrib.auth.middleware.get_user", lambda request: 1 / 0)
    assert Client(raise_request_exception=False).get("/admin/").status_code == 500
