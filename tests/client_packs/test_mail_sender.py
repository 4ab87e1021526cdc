"""The Email pack's command: sent mails and result events."""

import json
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.client.program import Program
from tests.client.stub_server import StubServer
from tests.private_postgres import free_port

from .conftest import StartPack
from .mail_servers import HOST, Certificate, StartSmtp

pytestmark = pytest.mark.integration

MAIL = {"to": "ann@example.com", "cc": "bob@example.com", "bcc": "eve@example.com", "subject": "Hi", "text": "Hé\n"}


def result(stub: StubServer, event: str) -> Any:
    return stub.wait_for("result", event=event)[0].body["payload"]


def test_a_mail_goes_to_all_recipients(stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp) -> None:
    post, smtp = start_smtp()
    stub.queue("SendEmail", MAIL)
    start_pack("email", stub.url, **smtp)
    payload = result(stub, "EmailSent")
    assert post.envelopes[0].mail_from == "flyte@example.org"
    assert post.envelopes[0].rcpt_tos == ["ann@example.com", "bob@example.com", "eve@example.com"]
    message = post.message()
    assert (message["From"], message["Bcc"], message.get_content()) == ("Flyte <flyte@example.org>", None, "Hé\r\n")
    echoed = {name: MAIL[name] for name in ("to", "cc", "bcc", "subject")}
    assert payload == echoed | {"messageId": message["Message-ID"], "refused": {}}


@pytest.mark.parametrize(
    ("addresses", "error", "temporary"),
    [
        ({"to": "no@x.org"}, "all recipients were refused: no@x.org: 550 5.1.1 no such person", False),
        ({"to": ["later@x.org"]}, "450 4.2.1 come again", True),
        ({"to": "a@x.org\nBcc: b@x.org"}, "to: line breaks", False),
        ({"to": ""}, "to, cc and bcc: must have 1 to 100 addresses in total, not 0", False),
    ],
)
def test_a_mail_without_any_delivery_is_a_failure(
    stub: StubServer,
    start_pack: StartPack,
    start_smtp: StartSmtp,
    addresses: dict[str, Any],
    error: str,
    temporary: bool,
) -> None:
    post, smtp = start_smtp()
    stub.queue("SendEmail", {"subject": "s", "text": "t"} | addresses)
    start_pack("email", stub.url, **smtp)
    payload = result(stub, "SendEmailFailed")
    assert error in payload.pop("error")
    assert payload == {"to": addresses["to"], "cc": "", "bcc": "", "subject": "s", "temporary": temporary}
    assert post.envelopes == []


def test_refused_recipients_are_listed_in_the_success(
    stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp
) -> None:
    post, smtp = start_smtp()
    stub.queue("SendEmail", MAIL | {"cc": "no@x.org"})
    start_pack("email", stub.url, **smtp)
    assert result(stub, "EmailSent")["refused"] == {"no@x.org": "550 5.1.1 no such person"}
    assert post.envelopes[0].rcpt_tos == ["ann@example.com", "eve@example.com"]


def test_an_unreachable_server_is_a_temporary_failure(stub: StubServer, start_pack: StartPack) -> None:
    stub.queue("SendEmail", MAIL)
    smtp = {"FLYTE_SMTP_HOST": HOST, "FLYTE_SMTP_PORT": str(free_port()), "FLYTE_EMAIL_FROM": "a@x.org"}
    start_pack("email", stub.url, **smtp)
    payload = result(stub, "SendEmailFailed")
    assert (payload["error"].partition(":")[0], payload["temporary"]) == ("ConnectionRefusedError", True)


def check_login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    fine = isinstance(data, LoginPassword) and (data.login, data.password) == (b"flyte", b"s3cret")
    return AuthResult(success=fine, handled=False)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_login_and_mail_go_over_tls(
    stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp, certificate: Certificate, security: str
) -> None:
    tls = {"ssl_context": certificate.context} if security == "tls" else {"tls_context": certificate.context}
    # aiosmtpd does not detect TLS that begins with the first byte.
    required = {"auth_required": True, "authenticator": check_login, "auth_require_tls": security == "starttls"}
    post, smtp = start_smtp(security, require_starttls=security == "starttls", **tls, **required)
    stub.queue("SendEmail", MAIL)
    login = {"FLYTE_SMTP_USER": "flyte", "FLYTE_SMTP_PASSWORD": "s3cret"}
    program = start_pack("email", stub.url, **smtp, **login, SSL_CERT_FILE=str(certificate.authority))
    result(stub, "EmailSent")
    assert len(post.envelopes) == 1
    assert "s3cret" not in "".join(program.log)


def test_a_wrong_password_is_reported(
    stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp, certificate: Certificate
) -> None:
    required = {"auth_required": True, "authenticator": check_login}
    _, smtp = start_smtp("starttls", tls_context=certificate.context, **required)
    stub.queue("SendEmail", MAIL)
    login = {"FLYTE_SMTP_USER": "flyte", "FLYTE_SMTP_PASSWORD": "wr0ng"}
    start_pack("email", stub.url, **smtp, **login, SSL_CERT_FILE=str(certificate.authority))
    payload = result(stub, "SendEmailFailed")
    assert payload["error"].startswith("535 ")
    assert "wr0ng" not in json.dumps(payload)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_with_an_untrusted_certificate_gets_nothing(
    stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp, certificate: Certificate, security: str
) -> None:
    tls = {"ssl_context": certificate.context} if security == "tls" else {"tls_context": certificate.context}
    post, smtp = start_smtp(security, **tls)
    stub.queue("SendEmail", MAIL)
    start_pack("email", stub.url, **smtp)
    payload = result(stub, "SendEmailFailed")
    assert "CERTIFICATE_VERIFY_FAILED" in payload["error"]
    assert post.envelopes == []


def test_a_server_without_starttls_gets_nothing(stub: StubServer, start_pack: StartPack, start_smtp: StartSmtp) -> None:
    post, smtp = start_smtp("starttls")
    stub.queue("SendEmail", MAIL)
    start_pack("email", stub.url, **smtp)
    assert "STARTTLS" in result(stub, "SendEmailFailed")["error"]
    assert post.envelopes == []


def bad_program(stub: StubServer, start_pack: StartPack, **settings: str) -> Program:
    fine = {"FLYTE_SMTP_HOST": "mail.example.org", "FLYTE_EMAIL_FROM": "flyte@example.org"}
    return start_pack("email", stub.url, **(fine | settings))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"FLYTE_SMTP_HOST": ""}, "FLYTE_SMTP_HOST: set this variable, or FLYTE_IMAP_HOST, or both"),
        ({"FLYTE_EMAIL_FROM": ""}, "FLYTE_EMAIL_FROM: invalid value"),
        (
            {"FLYTE_SMTP_SECURITY": "ssl"},
            "FLYTE_SMTP_SECURITY: invalid value 'ssl', must be one of starttls, tls, none",
        ),
        ({"FLYTE_SMTP_PORT": "0"}, "FLYTE_SMTP_PORT: invalid value '0', must be a whole number from 1"),
        ({"FLYTE_SMTP_USER": "x"}, "FLYTE_SMTP_USER: set both this variable and FLYTE_SMTP_PASSWORD, or neither"),
        (
            {"FLYTE_SMTP_USER": "x", "FLYTE_SMTP_PASSWORD": "y", "FLYTE_SMTP_SECURITY": "none"},
            "FLYTE_SMTP_SECURITY: none is not allowed with a password, use tls or starttls",
        ),
        ({"FLYTE_IMAP_HOST": "mail.example.org"}, "FLYTE_IMAP_USER: required"),
    ],
)
def test_invalid_settings_are_reported_in_one_line(
    stub: StubServer, start_pack: StartPack, settings: dict[str, str], words: str
) -> None:
    program = bad_program(stub, start_pack, **settings)
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith("Email: ")
    assert words in line
