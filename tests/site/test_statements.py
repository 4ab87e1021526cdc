"""SQL statements of each page and each list, which must not depend on the number of rows. The requests of packs are
in `tests/flows/test_statement_counts.py`. Statements that begin, set up or end transactions are not counted.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.test.utils import CaptureQueriesContext

from flows.models import Event, Execution
from tests.flows import builders as b
from tests.reading import statements

pytestmark = [pytest.mark.database, pytest.mark.django_db]

FLOW = json.dumps(b.document(b.step(id="one"), b.follower("one", id="two"), name="counted"))
PACK = json.dumps({"name": "Src", "labels": {}, "commands": [], "events": [], "links": []})

READ = {
    "/health": 1,
    "/v1/packs": 1,
    "/v1/packs/Src": 1,
    "/v1/flows": 1,
    "/v1/flows/flow": 1,
    "/v1/flows/flow/versions": 2,
    "/v1/datastore": 1,
    "/v1/datastore/key": 1,
    "/v1/audit/flows": 4,
    "/v1/audit/flows?flowName=flow&state=succeeded": 5,
    "/v1/audit/flows?stepId=one": 5,
    "/v1/audit/flows?actionPackName=Wrk": 6,
    "/v1/audit/flows?actionPackLabels=env:prod": 7,
    "/v1/audit/flows/{execution}": 2,
    "/v1/audit/events": 2,
    "/v1/audit/events?packName=Src": 3,
    "/v1/audit/events?event=Go": 3,
    "/v1/audit/events?flow=flow": 3,
    "/v1/audit/events/{event}": 1,
}
CONSOLE = {
    "/admin/": 12,
    "/admin/flows/execution/": 7,
    "/admin/flows/execution/?pack=Wrk": 9,
    "/admin/flows/execution/{execution}/": 9,
    "/admin/flows/execution/{execution}/now": 9,
    "/admin/flows/event/": 5,
    "/admin/flows/event/{event}/": 8,
    "/admin/flows/flow/": 7,
    "/admin/packs/pack/": 7,
}


@pytest.fixture
def pages(client: Client) -> None:
    """Create a row of each kind that the pages read."""
    b.pack("Src")
    b.save(b.step(id="one", command={"packName": "Wrk", "name": "Do", "packLabels": {"env": "prod"}}))
    put(client)()
    run_once(1)


def run_once(number: int) -> None:
    """Create another row of each kind."""
    worker = b.pack("Wrk", env="prod", number=str(number))
    b.save(b.step(id="one", event={"packName": "None", "name": "Go"}), name=f"flow-{number}")
    b.tell(b.pack("Src"))
    b.give(worker, b.take(worker))


def count_statements(call: Callable[[], Any]) -> list[str]:
    """Return the first 100 characters of each statement of a call."""
    with CaptureQueriesContext(connection) as queries:
        answer = call()
    assert answer.status_code < 300, answer.content[:500]
    return [sql[:100] for sql in statements(queries)]


def read_page(client: Client, path: str) -> list[str]:
    execution, event = (model.objects.order_by("id").values_list("id", flat=True)[0] for model in (Execution, Event))
    return count_statements(lambda: client.get(path.format(execution=execution, event=event)))


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("path", READ)
def test_an_api_page_has_as_many_statements_for_ten_rows_as_for_one(path: str, client: Client) -> None:
    executed = read_page(client, path)
    assert len(executed) == READ[path], executed
    for number in range(2, 11):
        run_once(number)
    assert len(read_page(client, path)) == READ[path]


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("path", CONSOLE)
def test_a_console_page_has_as_many_statements_for_ten_rows_as_for_one(path: str, client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    client.get("/admin/password_change/")  # the first page of a session records its use
    executed = read_page(client, path)
    assert len(executed) == CONSOLE[path], executed
    for number in range(2, 11):
        run_once(number)
    assert len(read_page(client, path)) == CONSOLE[path]


def post(client: Client, path: str, body: str) -> Callable[[], Any]:
    return lambda: client.post(path, body, content_type="application/json")


def put(client: Client) -> Callable[[], Any]:
    body = encode_multipart(BOUNDARY, {"value": SimpleUploadedFile("v", b"value", "text/plain")})
    return lambda: client.put("/v1/datastore/key", body, content_type=MULTIPART_CONTENT)


def test_the_statements_of_a_registration(client: Client) -> None:
    first = count_statements(post(client, "/v1/packs", PACK))
    assert len(first) == 5, first
    again = count_statements(post(client, "/v1/packs", PACK))
    assert len(again) == 4, again


def test_the_statements_of_saving_a_flow(client: Client) -> None:
    first = count_statements(post(client, "/v1/flows", FLOW))
    assert len(first) == 9, first
    same = count_statements(post(client, "/v1/flows", FLOW))
    assert len(same) == 9, same


def test_the_statements_of_putting_an_item(client: Client) -> None:
    first = count_statements(put(client))
    assert len(first) == 4, first
    again = count_statements(put(client))
    assert len(again) == 4, again
