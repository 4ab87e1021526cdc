"""Replay of the recorded conversation on a live server: its responses are those of the original, except for the table
in `differences`.

The tests compare the status, the headers Content-Type, Location, Allow and WWW-Authenticate (present or absent), the
other headers that an expected response names, and the body (see `comparison` for ids, times and order). If the
recording omits the body, they compare only the status and the content type. There are no pauses between requests: the
effects of an event are complete before its 202.
"""

import pytest

from tests.contract.conversation import replay
from tests.contract.differences import DATABASE_AWAY, UNDER_POLICY, expectations
from tests.contract.recording import read_exchanges
from tests.server import running_server

pytestmark = pytest.mark.acceptance

CONVERSATION = [exchange for exchange in read_exchanges() if exchange.phase not in (UNDER_POLICY, DATABASE_AWAY)]


@pytest.fixture(scope="module")
def differences(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Replay the whole conversation on a new server, and return the differences of each exchange."""
    with running_server(tmp_path_factory.mktemp("replay"), {"FLYTE_ALLOWED_HOSTS": "other.example.org"}) as server:
        return replay(server, expectations(CONVERSATION))


@pytest.mark.parametrize("name", [exchange.name for exchange in CONVERSATION])
def test_the_response_is_as_expected(name: str, differences: dict[str, list[str]]) -> None:
    assert not differences[name], "\n".join(differences[name])
