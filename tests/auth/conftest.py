from collections.abc import Callable, Iterator

import pytest
from django.conf import LazySettings

from flyte_site.auth.policy import parse_policy
from tests.auth.provider import AUDIENCE, Provider, running_provider


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """Start a provider with one RSA key `k1`, which is not cached yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_provider() as running:
        running.publish()
        yield running


SetPolicy = Callable[[str], None]


@pytest.fixture
def set_policy(settings: LazySettings, provider: Provider) -> SetPolicy:
    """Return a function that enables OIDC with the provider and a policy."""

    def set_up(text: str) -> None:
        settings.FLYTE_AUTH = "oidc"
        settings.FLYTE_OIDC_ISSUER_URL = provider.issuer
        settings.FLYTE_OIDC_ISSUER_CLIENT_ID = AUDIENCE
        settings.FLYTE_AUTH_POLICY = parse_policy(text)

    return set_up
