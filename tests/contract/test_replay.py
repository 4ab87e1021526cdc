"""The recorded conversation, said again to a live server: what it answers is what the original answered, but for the
table in `differences`.

Compared are the status, the headers Content-Type, Location, Allow and WWW-Authenticate whether an answer has them or
not, the other headers that an expected answer names, and the body (see `comparison` for ids, times and order). Where
the recording left the body out, only the status and the content type are. Nothing waits between the
requests: what an event causes is done before its 202.
"""

import pytest

from tests.contract.conversation import replay
from tests.contract.differences import DATABASE_AWAY, UNDER_POLICY, expectations
from tests.contract.recording import read_exchanges
from tests.server import running_server

pytestmark = pytest.mark.acceptance

CONVERSATION = [one for one in read_exchanges() if one.phase not in (UNDER_POLICY, DATABASE_AWAY)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What was not as expected in each exchange, after the whole conversation with one fresh server."""
    with running_server(tmp_path_factory.mktemp("replay"), {"FLYTE_ALLOWED_HOSTS": "other.example.org"}) as server:
        return replay(server, expectations(CONVERSATION))


@pytest.mark.parametrize("name", [exchange.name for exchange in CONVERSATION])
def test_the_answer_is_the_one_expected(name: str, found: dict[str, list[str]]) -> None:
    assert not found[name], "\n".join(found[name])
