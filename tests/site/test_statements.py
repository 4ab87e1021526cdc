"""How many statements each page and each list costs the database, and that it is as many for more: what packs ask all
day is in `tests/flows/test_statement_counts.py`. What begins, sets up and ends transactions is not counted.
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
    """What there is to be read: one of each."""
    b.pack("Src")
    b.save(b.step(id="one", command={"packName": "Wrk", "name": "Do", "packLabels": {"env": "prod"}}))
    put(client)()
    run_once(1)


def run_once(number: int) -> None:
    """One more of each."""
    worker = b.pack("Wrk", env="prod", number=str(number))
    b.save(b.step(id="one", event={"packName": "None", "name": "Go"}), name=f"flow-{number}")
    b.tell(b.pack("Src"))
    b.give(worker, b.take(worker))


def counted(call: Callable[[], Any]) -> list[str]:
    """The statements of a call, each by its beginning."""
    with CaptureQueriesContext(connection) as queries:
        answer = call()
    assert answer.status_code < 300, answer.content[:500]
    return [sql[:100] for sql in statements(queries)]


def reading(client: Client, path: str) -> list[str]:
    execution, event = (model.objects.order_by("id").values_list("id", flat=True)[0] for model in (Execution, Event))
    return counted(lambda: client.get(path.format(execution=execution, event=event)))


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("path", READ)
def test_a_page_of_the_api_takes_as_many_statements_for_one_as_for_ten(path: str, client: Client) -> None:
    told = reading(client, path)
    assert len(told) == READ[path], told
    for number in range(2, 11):
        run_once(number)
    assert len(reading(client, path)) == READ[path]


@pytest.mark.usefixtures("pages")
@pytest.mark.parametrize("path", CONSOLE)
def test_a_page_of_the_console_takes_as_many_statements_for_one_as_for_ten(path: str, client: Client) -> None:
    client.force_login(User.objects.create_superuser("admin"))
    client.get("/admin/password_change/")  # a session is noted as used at its first page, and then now and again
    told = reading(client, path)
    assert len(told) == CONSOLE[path], told
    for number in range(2, 11):
        run_once(number)
    assert len(reading(client, path)) == CONSOLE[path]


def post(client: Client, path: str, body: str) -> Callable[[], Any]:
    return lambda: client.post(path, body, content_type="application/json")


def put(client: Client) -> Callable[[], Any]:
    body = encode_multipart(BOUNDARY, {"value": SimpleUploadedFile("v", b"value", "text/plain")})
    return lambda: client.put("/v1/datastore/key", body, content_type=MULTIPART_CONTENT)


def test_what_a_registration_costs(client: Client) -> None:
    first = counted(post(client, "/v1/packs", PACK))
    assert len(first) == 5, first
    again = counted(post(client, "/v1/packs", PACK))
    assert len(again) == 4, again


def test_what_saving_a_flow_costs(client: Client) -> None:
    first = counted(post(client, "/v1/flows", FLOW))
    assert len(first) == 9, first
    same = counted(post(client, "/v1/flows", FLOW))
    assert len(same) == 9, same


def test_what_putting_an_item_costs(client: Client) -> None:
    first = counted(put(client))
    assert len(first) == 4, first
    again = counted(put(client))
    assert len(again) == 4, again
