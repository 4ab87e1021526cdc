"""The Ldap pack with OpenLDAP's server: `make test-slapd`."""

import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flyte_client.packs.ldap import ber
from flyte_client.packs.ldap.directory import BIND_REQUEST, DirectoryError, LdapSearch, run_search
from flyte_client.packs.ldap.filters import encode_filter, fill_template
from flyte_client.packs.ldap.settings import LdapServer
from tests import processes
from tests.client.stub_server import PATIENCE, StubServer
from tests.private_postgres import free_port

from .conftest import StartPack
from .event_watcher import eventually
from .mail_servers import Certificate, listens

pytestmark = pytest.mark.slapd

SLAPD = shutil.which("slapd", path="/usr/sbin:/usr/libexec:/usr/local/libexec") or ""
BASE = "dc=example,dc=com"
CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
pidfile {folder}/pid
TLSCertificateFile {certificate}
TLSCertificateKeyFile {certificate}
sizelimit 500
database mdb
suffix "dc=example,dc=com"
rootdn "cn=flyte,dc=example,dc=com"
rootpw s3cret
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
overlay memberof
"""
PEOPLE = {"ann": "Ann Lee", "bob": "Bob (the *)", "jürgen": "Jürgen"}


def ldif() -> str:
    entries = [f"dn: {BASE}\nobjectClass: domain\ndc: example\n"]
    for uid, name in PEOPLE.items():
        lines = f"objectClass: inetOrgPerson\nuid: {uid}\ncn: {name}\nsn: {name}\nmail: {uid}@example.com\n"
        entries.append(f"dn: uid={uid},{BASE}\n{lines}userPassword: pw\n")
    return "\n".join(entries)


@pytest.fixture
def slapd(tmp_path: Path, certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[LdapServer]:
    if not SLAPD:
        pytest.fail("slapd is not on this machine: install it (Debian: apt-get install slapd)")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.authority))
    (tmp_path / "data").mkdir()
    configuration, data, port = tmp_path / "slapd.conf", tmp_path / "people.ldif", free_port()
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, certificate=certificate.file))
    data.write_text(ldif())
    adding = Path(SLAPD).with_name("slapadd")
    processes.run([str(adding), "-f", str(configuration), "-l", str(data)], check=True, timeout=60)
    command = [SLAPD, "-d", "0", "-f", str(configuration), "-h", f"ldap://127.0.0.1:{port}"]
    process = processes.start(command)
    try:
        eventually(lambda: listens(port), "slapd did not start")
        yield LdapServer("127.0.0.1", port, "starttls", 10.0, f"cn=flyte,{BASE}", "s3cret")
    finally:
        process.terminate()
        process.wait(30)


def find_uids(server: LdapServer, template: str, limit: int = 10, **values: str) -> list[str]:
    search = LdapSearch(BASE, "sub", encode_filter(fill_template(template, values)), ("uid",), limit)
    return sorted(attributes["uid"][0].decode() for _, attributes in run_search(server, search).entries)


def test_a_real_directory_accepts_every_kind_of_filter(slapd: LdapServer) -> None:
    assert find_uids(slapd, "(uid=ann)") == ["ann"]
    assert find_uids(slapd, "(uid=*)") == ["ann", "bob", "jürgen"]
    assert find_uids(slapd, "(cn=*n*e*)") == ["ann"]
    assert find_uids(slapd, "(&(mail=*@example.com)(!(|(uid=ann)(uid=bob))))") == ["jürgen"]
    assert find_uids(slapd, "(cn={name})", name="Bob (the *)") == ["bob"]
    assert find_uids(slapd, "(uid={name})", name="*") == []
    assert find_uids(slapd, "(uid={name})", name="jürgen") == ["jürgen"]
    assert find_uids(slapd, "(cn:caseExactMatch:=ann lee)") == []
    assert find_uids(slapd, "(cn:caseIgnoreMatch:=ann lee)") == ["ann"]


def test_a_search_stops_at_the_limit_and_reports_it(slapd: LdapServer) -> None:
    search = LdapSearch(BASE, "sub", encode_filter("(uid=*)"), ("*",), 2)
    answer = run_search(slapd, search)
    assert (len(answer.entries), answer.complete) == (2, False)
    assert run_search(slapd, replace(search, limit=3)).complete


def test_a_wrong_or_missing_password_is_rejected(slapd: LdapServer) -> None:
    with pytest.raises(DirectoryError, match="invalid username or password"):
        find_uids(replace(slapd, password="other"), "(uid=ann)")
    with pytest.raises(DirectoryError, match="entry not found"):
        find_uids(replace(slapd, user="", password=""), "(uid=ann)")


def test_its_certificate_is_checked(slapd: LdapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(DirectoryError, match="CERTIFICATE_VERIFY_FAILED"):
        find_uids(slapd, "(uid=ann)")


def test_the_pack_returns_groups_of_a_real_directory(
    slapd: LdapServer, stub: StubServer, start_pack: StartPack, certificate: Certificate
) -> None:
    add_group(slapd, "deployers", "ann")
    variables = {
        "FLYTE_LDAP_URL": f"ldap://127.0.0.1:{slapd.port}",
        "FLYTE_LDAP_BASE_DN": BASE,
        "FLYTE_LDAP_BIND_USERNAME": slapd.user,
        "FLYTE_LDAP_BIND_PASSWORD": slapd.password,
        "SSL_CERT_FILE": str(certificate.authority),
    }
    stub.queue("GetGroups", {"username": "ann"})
    start_pack("ldap", stub.url, **variables)
    (call,) = stub.wait_for("result", event="GroupsRetrieved")
    assert call.body["payload"]["usergroups"] == ["deployers"]


def add_group(server: LdapServer, name: str, member: str) -> None:
    """Add the entries by LDAP, because the overlay only records members that are added that way."""
    group = {"objectClass": "groupOfNames", "cn": name, "member": f"uid={member},{BASE}"}
    attributes = [
        ber.encode_element(ber.SEQUENCE, ber.encode_octets(key), ber.encode_element(ber.SET, ber.encode_octets(value)))
        for key, value in group.items()
    ]
    bind = ber.encode_element(
        BIND_REQUEST, ber.encode_int(3), ber.encode_octets(server.user), ber.encode_octets(server.password, 0x80)
    )
    add = ber.encode_element(
        0x68, ber.encode_octets(f"cn={name},{BASE}"), ber.encode_element(ber.SEQUENCE, *attributes)
    )
    with socket.create_connection((server.host, server.port), timeout=PATIENCE) as connection:
        for number, operation in enumerate((bind, add), 1):
            connection.sendall(ber.encode_element(ber.SEQUENCE, ber.encode_int(number), operation))
            answer = connection.recv(4096)
            assert ber.encode_int(0, ber.ENUMERATED) in answer
