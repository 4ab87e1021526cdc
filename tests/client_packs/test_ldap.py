"""The Ldap pack with a local stub of a directory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.directory import DirectoryError, LdapSearch, run_search
from flyte_client.packs.ldap.filters import encode_filter
from flyte_client.packs.ldap.settings import LdapServer, read_settings
from tests.client.stub_server import StubServer
from tests.examples.world import ExampleClient, states
from tests.private_postgres import free_port
from tests.server import Server as FlyteServer

from .conftest import StartPack
from .event_watcher import eventually
from .ldap_server import Directory, running_directory
from .mail_servers import Certificate, tls_before

pytestmark = pytest.mark.integration

GROUPS = [b"cn=admins,ou=groups,dc=example,dc=com", b"cn=staff,dc=example,dc=com", b"cn=staff,dc=other"]
ANN = ("uid=ann,dc=example,dc=com", {"memberOf": GROUPS})
SEARCH = LdapSearch("dc=example,dc=com", "sub", encode_filter("(uid=ann)"), ("memberOf",), 5)


@pytest.fixture
def directory() -> Iterator[Directory]:
    with running_directory() as running:
        running.entries = [ANN]
        yield running


def server(directory: Directory, **changes: Any) -> LdapServer:
    return replace(read_settings(directory.variables).server, timeout=5.0, **changes)


def result(stub: StubServer, event: str) -> Any:
    return stub.wait_for("result", event=event)[0].body["payload"]


@pytest.mark.acceptance
def test_only_group_members_may_deploy(
    world: ExampleClient, packs_server: FlyteServer, start_pack: StartPack, directory: Directory
) -> None:
    slack = world.pack("Slack", {"SendMessage": ["MessageSent"]})
    world.load("allowed.yaml")
    program = start_pack("ldap", packs_server.url, **directory.variables)
    said = {"channelId": "C1", "user": {"name": "ann"}, "message": "may I deploy", "threadTimestamp": "17.5"}
    slack.send_event("ReceivedMessage", said)
    taken = eventually(slack.poll)
    assert taken is not None
    assert taken.input["message"] == "ann: no, you are not in deployers"
    taken.send_result("MessageSent")
    assert set(states(world.execution("allowed")).values()) == {"SUCCESS"}
    program.signal()
    assert program.exit_code() == 0
    assert "s3cret" not in "".join(program.log)


def test_a_users_groups_are_returned(stub: StubServer, start_pack: StartPack, directory: Directory) -> None:
    stub.queue("GetGroups", {"username": "ann"})
    start_pack("ldap", stub.url, **directory.variables)
    groups = {"usergroups": ["admins", "staff"]}
    assert result(stub, "GroupsRetrieved") == {"commandName": "GetGroups", "username": "ann"} | groups
    (search,) = directory.searches
    assert (search["base"], search["scope"], search["limit"]) == ("dc=example,dc=com", 2, 2)
    assert (search["attributes"], search["filter"]) == (["memberOf"], encode_filter("(uid=ann)")[2:])


@pytest.mark.parametrize(
    ("action_input", "entries", "error"),
    [
        ({"username": "eve"}, [], "user 'eve' not found"),
        ({"username": "ann"}, [ANN, ANN], "user 'ann' is not unique"),
        ({}, [ANN], "username: must be a non-empty string"),
        ({"username": "x" * 300}, [ANN], "username: must be a non-empty string"),
    ],
)
def test_an_unknown_or_ambiguous_user_is_reported(
    stub: StubServer, start_pack: StartPack, directory: Directory, action_input: Any, entries: Any, error: str
) -> None:
    directory.entries = entries
    stub.queue("GetGroups", action_input)
    start_pack("ldap", stub.url, **directory.variables)
    payload = result(stub, "GroupsRetrievalError")
    assert payload["error"].startswith(error)
    assert (payload["commandName"], payload["username"]) == ("GetGroups", action_input.get("username"))


def test_a_search_returns_no_secrets(stub: StubServer, start_pack: StartPack, directory: Directory) -> None:
    attributes = {"mail": [b"ann@example.com"], "jpegPhoto": [b"\xff\xd8"], "userPassword": [b"{SSHA}x"]}
    directory.entries = [("uid=ann,dc=example,dc=com", attributes)]
    directory.code = 4
    action_input = {"filter": "(mail={mail})", "values": {"mail": "a*@example.com"}}
    more = {"base": "OU=People,DC=example,DC=com", "scope": "one", "attributes": ["mail"], "limit": "7"}
    stub.queue("Search", action_input | more)
    start_pack("ldap", stub.url, **directory.variables)
    decoded = {"mail": ["ann@example.com"], "jpegPhoto": ["/9g="]}
    entries = [{"dn": "uid=ann,dc=example,dc=com", "attributes": decoded}]
    assert result(stub, "SearchDone") == action_input | {"entries": entries, "complete": False}
    (search,) = directory.searches
    assert (search["base"], search["scope"], search["limit"]) == ("OU=People,DC=example,DC=com", 1, 7)
    assert search["filter"] == encode_filter(r"(mail=a\2a@example.com)")[2:]


@pytest.mark.parametrize(
    ("action_input", "error"),
    [
        ("(a=b)", "the input must be an object"),
        ({"filter": "(a=b)", "size": 1}, "the input must be an object"),
        ({"filter": "a=b"}, "invalid filter at character 1"),
        ({"filter": "(a={b})"}, "no value for {b} in the filter"),
        ({"filter": "(a={b})", "values": {"b": ""}}, "values.b: must be a non-empty string"),
        ({"filter": "(a=b)", "base": "dc=other"}, "base: must be dc=example,dc=com"),
        ({"filter": "(a=b)", "base": "xdc=example,dc=com"}, "base: must be dc=example,dc=com"),
        ({"filter": "(a=b)", "scope": "all"}, "scope: must be one of"),
        ({"filter": "(a=b)", "limit": 101}, "limit: must be a whole number from 1 to 100"),
        ({"filter": "(a=b)", "attributes": []}, "attributes: must be a list"),
    ],
)
def test_an_invalid_search_is_reported(
    stub: StubServer, start_pack: StartPack, directory: Directory, action_input: Any, error: str
) -> None:
    stub.queue("Search", action_input)
    start_pack("ldap", stub.url, **directory.variables)
    payload = result(stub, "SearchFailed")
    assert payload["error"].startswith(error)
    assert payload["temporary"] is False
    assert directory.searches == []


@pytest.mark.parametrize(
    ("changes", "words", "temporary"),
    [
        ({"code": 32}, r"entry not found \(as the test says\)", False),
        ({"code": 3}, "time limit exceeded", True),
        ({"code": 51}, "the server is busy", True),
        ({"code": 99}, "result code 99", False),
        ({"password": "other"}, "invalid username or password", False),
        ({"raw": b"HTTP/1.1 400 Bad Request"}, "invalid LDAP response", False),
        (
            {"raw": ber.encode_element(0x30, ber.encode_int(0), ber.encode_element(0x78))},
            "the server closed the connection",
            True,
        ),
        ({"raw": b"\x30\x84\x7f\xff\xff\xff"}, "invalid LDAP response: message too large", False),
        ({"entries": [ANN] * 9}, "", False),
    ],
)
def test_the_directorys_error_is_reported(
    directory: Directory, changes: dict[str, Any], words: str, temporary: bool
) -> None:
    configured_server = server(directory)
    for name, value in changes.items():
        setattr(directory, name, value)
    if not words:
        outcome = run_search(configured_server, SEARCH)
        assert (len(outcome.entries), outcome.complete) == (5, False)
        return
    with pytest.raises(DirectoryError, match=words) as caught:
        run_search(configured_server, SEARCH)
    assert caught.value.temporary == temporary


def test_a_silent_directory_times_out(directory: Directory) -> None:
    directory.silent = True
    with pytest.raises(DirectoryError, match=r"is unreachable: .*(timed out|no response)") as caught:
        run_search(replace(server(directory), timeout=0.3), SEARCH)
    assert caught.value.temporary


def test_an_unreachable_directory_is_a_temporary_failure() -> None:
    with pytest.raises(DirectoryError, match=r"127\.0\.0\.1 is unreachable") as caught:
        run_search(LdapServer("127.0.0.1", free_port(), "none", 5.0), SEARCH)
    assert caught.value.temporary


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("trusted", [True, False])
def test_the_password_goes_over_tls_to_trusted_servers_only(
    monkeypatch: pytest.MonkeyPatch, certificate: Certificate, security: str, trusted: bool
) -> None:
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    with running_directory(certificate.file) as directory, tls_before(directory.port, certificate.context) as port:
        directory.entries = [ANN]
        configured_server = server(directory, security=security)
        configured_server = replace(configured_server, port=port) if security == "tls" else configured_server
        if trusted:
            assert len(run_search(configured_server, SEARCH).entries) == 1
            assert directory.searches[0]["security"] == ("starttls" if security == "starttls" else "none")
        else:
            with pytest.raises(DirectoryError, match="CERTIFICATE_VERIFY_FAILED"):
                run_search(configured_server, SEARCH)
            assert directory.searches == []


def test_unencrypted_data_before_tls_is_rejected(monkeypatch: pytest.MonkeyPatch, certificate: Certificate) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    with running_directory(certificate.file) as directory:
        fine = ber.encode_element(0x61, ber.encode_int(0, ber.ENUMERATED), ber.encode_octets(""), ber.encode_octets(""))
        directory.premature = ber.encode_element(ber.SEQUENCE, ber.encode_int(2), fine)
        with pytest.raises(DirectoryError, match="unexpected data before TLS"):
            run_search(server(directory, security="starttls"), SEARCH)


def test_a_directory_without_starttls_gets_no_password(directory: Directory) -> None:
    with pytest.raises(DirectoryError, match="result code 2"):
        run_search(server(directory, security="starttls"), SEARCH)
    assert directory.searches == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"URL": ""}, "FLYTE_LDAP_URL: invalid address; use an address such as"),
        ({"URL": "https://ldap.example.com"}, "FLYTE_LDAP_URL: invalid address; use an address such as"),
        ({"BASE_DN": ""}, "FLYTE_LDAP_BASE_DN: required"),
        (
            {"BIND_PASSWORD": ""},
            "FLYTE_LDAP_BIND_USERNAME: set both this variable and FLYTE_LDAP_BIND_PASSWORD, or neither",
        ),
        ({"URL": "ldap://ldap.example.com"}, "FLYTE_LDAP_SECURITY: none is not allowed with a password"),
        ({"SEARCH_FILTER": "(uid=ann)"}, "FLYTE_LDAP_SEARCH_FILTER: must contain {username}"),
        ({"SEARCH_FILTER": "uid={username}"}, "FLYTE_LDAP_SEARCH_FILTER: invalid filter"),
        (
            {"MAX_ENTRIES": "5000"},
            "FLYTE_LDAP_MAX_ENTRIES: invalid value '5000', must be a whole number from 1 to 1000",
        ),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, directory: Directory, settings: dict[str, str], words: str
) -> None:
    changed = {f"FLYTE_LDAP_{name}": value for name, value in settings.items()}
    program = start_pack("ldap", stub.url, **(directory.variables | changed))
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith(f"Ldap: {words}")
