"""The recorded conversation under a policy, said again to a server with the same policy and a provider of our own."""

from collections.abc import Iterator, Mapping

import jwt
import pytest

from tests.auth.provider import Provider, private_key, running_provider, unsigned
from tests.contract.conversation import replay
from tests.contract.differences import UNDER_POLICY, expectations
from tests.contract.recording import DATA, Exchange, read_exchanges
from tests.server import running_server

pytestmark = pytest.mark.acceptance

CONVERSATION = [one for one in read_exchanges() if one.phase == UNDER_POLICY]
RECORDED_ISSUER = "http://127.0.0.1:18081/dex"
RECORDED_KEY = "peer-key-1"


def authorization(exchange: Exchange, provider: Provider) -> Mapping[str, str]:
    """The recorded token, signed with the provider's key; the recording says by its name which was another's."""
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
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """What was not as expected in each exchange, after the whole conversation."""
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


def test_there_are_as_many_as_were_recorded() -> None:
    assert len(CONVERSATION) == 39


@pytest.mark.parametrize("name", [exchange.name for exchange in CONVERSATION])
def test_the_answer_is_the_one_expected(name: str, found: dict[str, list[str]]) -> None:
    assert not found[name], "\n".join(found[name])
