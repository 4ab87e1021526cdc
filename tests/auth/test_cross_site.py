"""Protection without authentication: allowed host names, requests of other sites, and trusted proxies."""

from ipaddress import ip_network

import pytest
from django.conf import LazySettings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from structlog.testing import capture_logs

from flyte_site.auth import cross_site
from flyte_site.auth.cross_site import is_allowed_host
from flyte_site.auth.exposure import get_exposure_warning
from flyte_site.http.middleware import TrustedProxyMiddleware
from flyte_site.http.output.links import get_base_url
from tests.auth.conftest import SetPolicy
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LOOPBACK = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.9.8.7", "[::1]"]
OF_THE_NETWORK = ["flyte", "10.0.0.1", "[fd00::1]", "flyte.local", "flyte.svc.cluster.local", "flyte.internal"]
OF_OTHERS = ["evil.example.org", "localhost.evil.example.org", "127.0.0.1.evil.org", "flyte.local.evil.org", "0.evil"]


@pytest.mark.parametrize("host", [*LOOPBACK, *OF_THE_NETWORK, *OF_OTHERS])
def test_on_loopback_only_names_of_loopback_are_allowed(settings: LazySettings, host: str) -> None:
    settings.FLYTE_ALLOWED_HOSTS = ()
    assert is_allowed_host(host) == (host in LOOPBACK)


@pytest.mark.parametrize("host", [*LOOPBACK, *OF_THE_NETWORK, *OF_OTHERS])
def test_on_a_network_all_private_names_are_allowed(settings: LazySettings, host: str) -> None:
    settings.FLYTE_ALLOWED_HOSTS, settings.FLYTE_BIND = (), "0.0.0.0"
    assert is_allowed_host(host) == (host not in OF_OTHERS)


@pytest.mark.parametrize(
    ("allowed", "host", "expected"),
    [
        ("flyte.example.org", "flyte.example.org", True),
        ("flyte.example.org", "Flyte.Example.org.", True),
        ("flyte.example.org", "a.flyte.example.org", False),
        (".example.org", "a.b.example.org", True),
        (".example.org", "example.org", True),
        (".example.org", "badexample.org", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("fd00::1", "[fd00::1]", True),
        ("*", "evil.example.org", True),
    ],
)
def test_configured_names_are_allowed(settings: LazySettings, allowed: str, host: str, expected: bool) -> None:
    settings.FLYTE_ALLOWED_HOSTS = (allowed,)
    assert is_allowed_host(host) is expected


def test_other_names_are_refused_even_with_forwarded_headers(client: Client) -> None:
    for headers in ({}, {"x-forwarded-host": "localhost"}, {"x-flyte-host": "localhost"}):
        response = client.get("/v1/packs", headers={"host": "evil.example.org", **headers})
        assert "FLYTE_ALLOWED_HOSTS" in problem(response, 403)["detail"]
    assert client.get("/health", headers={"host": "evil.example.org"}).status_code == 200


def test_an_open_rule_of_the_policy_does_not_open_the_server_to_other_names(
    client: Client, set_policy: SetPolicy
) -> None:
    set_policy("- path: /v1/packs")
    rebound = {"host": "evil.example.org", "origin": "http://evil.example.org"}
    for headers, status in ((rebound, 403), ({"host": "evil.example.org"}, 403), ({"host": "localhost"}, 201)):
        assert client.post("/v1/packs", '{"name": "x"}', "application/json", headers=headers).status_code == status
    assert "FLYTE_ALLOWED_HOSTS" in problem(client.get("/v1/packs", headers=rebound), 403)["detail"]


def test_each_refused_name_is_logged_once_and_at_most_fifty(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_site, "REFUSED_HOSTS", cross_site.RefusedHosts())
    with capture_logs() as logged:
        for name in ("a.example.org", "A.example.org:8080", "b.example.org", *(f"{n}.example.org" for n in range(100))):
            client.get("/v1/packs", headers={"host": name})
    refused = [entry for entry in logged if entry["event"] == "host_refused"]
    assert [entry["host"] for entry in refused[:3]] == ["a.example.org", "b.example.org", "0.example.org"]
    assert refused[0]["hint"].endswith("FLYTE_ALLOWED_HOSTS=a.example.org")
    assert len(refused) == 50
    assert [entry["count"] for entry in logged if entry["event"] == "hosts_refused"] == [50]


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "https://flyte.example.org", "x-forwarded-host": "flyte.example.org"}, True),
        ({"origin": "http://localhost:3000"}, False),
        ({"origin": "http://localhost:8080", "sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "odd"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://[bad"}, False),
        ({"origin": "http://localhost:8080.evil.org"}, False),
    ],
    ids=str,
)
def test_a_page_of_another_site_cannot_change_anything(client: Client, headers: dict[str, str], passes: bool) -> None:
    all_headers = {"host": "localhost:8080", **headers}
    for kind in ("application/json", "text/plain"):
        response = client.post("/v1/packs", '{"name": "x"}', content_type=kind, headers=all_headers)
        assert response.status_code == (201 if passes else 403)
    assert client.get("/v1/packs", headers=all_headers).status_code == 200


def test_the_server_warns_of_anonymous_access_from_a_network(settings: LazySettings) -> None:
    assert get_exposure_warning() == ""
    settings.FLYTE_BIND = "0.0.0.0"
    assert "0.0.0.0:8080" in get_exposure_warning()
    settings.FLYTE_AUTH = "tokens"
    assert get_exposure_warning() == ""


def forwarded(remote: str, **headers: str) -> HttpRequest:
    """Return a request as the middleware passes it on."""
    requests = []

    def note(request: HttpRequest) -> HttpResponse:
        requests.append(request)
        return HttpResponse()

    request_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    TrustedProxyMiddleware(note)(RequestFactory().get("/", headers=request_headers, REMOTE_ADDR=remote))
    return requests[0]


FORGED = {"x_forwarded_proto": "https", "x_forwarded_host": "evil.org", "x_flyte_host": "evil.org"}


@pytest.mark.parametrize("remote", ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "not an address"])
def test_untrusted_senders_cannot_forge_links_or_addresses(remote: str) -> None:
    request = forwarded(remote, **FORGED, x_forwarded_for="1.2.3.4")
    assert (get_base_url(request), request.META["REMOTE_ADDR"]) == ("http://testserver", remote)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.5.5.5", "::1", "::ffff:127.0.0.1", ""])
def test_headers_of_trusted_proxies_are_used(remote: str) -> None:
    request = forwarded(
        remote, x_forwarded_proto="https", x_forwarded_host="flyte.example.org", x_forwarded_for="1.2.3.4"
    )
    assert (get_base_url(request), request.META["REMOTE_ADDR"]) == ("https://flyte.example.org", "1.2.3.4")
    assert request.is_secure()


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("1.2.3.4, 10.0.0.5", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.5, 10.0.0.6", "1.2.3.4"),
        ("6.6.6.6, junk, 10.0.0.5", "10.0.0.5"),
        ("junk", "10.0.0.9"),
        ("", "10.0.0.9"),
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_callers_address_is_the_last_one_that_is_not_a_trusted_proxy(
    settings: LazySettings, header: str, address: str
) -> None:
    settings.FLYTE_TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)
    assert forwarded("10.0.0.9", x_forwarded_for=header).META["REMOTE_ADDR"] == address


def test_without_trusted_proxies_even_headers_from_loopback_are_ignored(settings: LazySettings) -> None:
    settings.FLYTE_TRUSTED_PROXIES = ()
    assert get_base_url(forwarded("127.0.0.1", **FORGED)) == "http://testserver"
