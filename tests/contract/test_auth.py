"""Replay of the recorded conversation under a policy, with the same policy and a local identity provider."""

from collections.abc import Iterator, Mapping

import jwt
import pytest

from tests.auth.provider import Provider, private_key, running_provider, unsigned
from tests.contract.conversation import replay
from tests.contract.differences import UNDER_POLICY, expectations
from tests.contract.recording import DATA, Exchange, read_exchanges
from tests.server import running_server

pytestmark = pytest.mark.acceptance

CONVERSATION = [exchange for exchange in read_exchanges() if exchange.phase == UNDER_POLICY]
RECORDED_ISSUER = "http://127.0.0.1:18081/dex"
RECORDED_KEY = "peer-key-1"


def authorization(exchange: Exchange, provider: Provider) -> Mapping[str, str]:
    """Return the recorded token, signed with the provider's key; one exchange, by its name, used a different key."""
    token = exchange.token
    if token is None:
        return {}
    claims = dict(token["claims"])
    if claims["iss"] == RECORDED_ISSUER:
        claims["iss"] = provider.issuer
    number = 1 if exchange.name == "auth other key" else 0
    signed = (
        unsigned(claims)
        if token["alg"] == "none"
        else jwt.encode(claims, private_key("RSA", number), algorithm=token["alg"], headers={"kid": token["kid"]})
    )
    return {"Authorization": f"{token['scheme']} {signed}".strip()}


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Replay the whole conversation, and return the differences of each exchange."""
    with running_provider() as provider:
        provider.publish(RECORDED_KEY)
        environment = {
            "FLYTE_OIDC_ISSUER_URL": provider.issuer,
            "FLYTE_OIDC_ISSUER_CLIENT_ID": "example-app",
            "FLYTE_AUTH_POLICY_PATH": str(DATA / "policy.yml"),
            "NO_PROXY": "127.0.0.1",
        }
        with running_server(tmp_path_factory.mktemp("auth"), environment) as server:
            yield replay(server, expectations(CONVERSATION), lambda exchange: authorization(exchange, provider))


def test_all_recorded_exchanges_are_replayed() -> None:
    assert len(CONVERSATION) == 39


@pytest.mark.parametrize("name", [exchange.name for exchange in CONVERSATION])
def test_the_response_is_as_expected(name: str, differences: dict[str, list[str]]) -> None:
    assert not differences[name], "\n".join(differences[name])
