"""The REST API of packs: registration, list, reading and deletion."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from packs.models import Pack
from packs.registry import LAST_SEEN_RESOLUTION
from tests.site.shape import paths_of_errors, problem, register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

H = "http://testserver"
FULL_PACK = {
    "name": "Slack",
    "labels": {"env": "prod", "az": "b"},
    "commands": [{"name": "Send Message", "events": ["Sent", "Failed"]}, {"name": "Delete"}],
    "events": [{"name": "Said", "links": [{"href": "http://docs/said", "rel": "help"}]}, {"name": "Left"}],
    "links": [{"href": "http://docs", "rel": "help"}],
}


def post(client: Client, pack: Any) -> Any:
    return client.post("/v1/packs", json.dumps(pack), content_type="application/json")


def test_registration_returns_id_links_and_location(client: Client) -> None:
    response = post(client, FULL_PACK)
    pack_url = f"{H}/v1/packs/Slack.az.b.env.prod"
    assert (response.status_code, response.headers["Location"]) == (201, pack_url)
    body = json.loads(response.content)
    assert (body["id"], body["name"], body["labels"]) == ("Slack.az.b.env.prod", "Slack", FULL_PACK["labels"])
    assert body["commands"][0] == {
        "name": "Send Message",
        "events": ["Sent", "Failed"],
        "links": [
            {
                "href": f"{pack_url}/actions/take?commandName=Send%20Message",
                "rel": f"{H}/swagger#!/action/takeAction",
            }
        ],
    }
    assert body["events"] == FULL_PACK["events"]
    assert [(link["href"], link["rel"]) for link in body["links"]] == [
        ("http://docs", "help"),
        (pack_url, "self"),
        (f"{H}/v1/packs", "up"),
        (f"{pack_url}/actions/take", f"{H}/swagger#!/action/takeAction"),
        (f"{pack_url}/events", f"{H}/swagger#/event"),
    ]
    assert body["status"] == "live"


def test_a_pack_is_returned_as_registered_with_empty_lists_of_events(client: Client) -> None:
    posted = json.loads(post(client, FULL_PACK).content)
    pack_read = json.loads(client.get("/v1/packs/Slack.az.b.env.prod").content)
    assert posted["commands"][1]["events"] is None
    assert pack_read["commands"][1]["events"] == []
    posted["commands"][1]["events"] = []
    assert pack_read == posted


def test_a_pack_of_the_same_name_and_labels_is_replaced(client: Client) -> None:
    post(client, FULL_PACK)
    assert post(client, {"name": "Slack", "labels": {"az": "b", "env": "prod"}}).status_code == 201
    pack_read = json.loads(client.get("/v1/packs/Slack.az.b.env.prod").content)
    assert not {"commands", "events"} & set(pack_read)
    assert len(pack_read["links"]) == 4
    assert Pack.objects.count() == 1


def test_different_labels_are_a_different_pack(client: Client) -> None:
    for labels in ({}, {"env": "prod"}, {"env": "dev"}):
        post(client, {"name": "Slack", "labels": labels})
    listed = json.loads(client.get("/v1/packs").content)["packs"]
    assert [pack["id"] for pack in listed] == ["Slack", "Slack.env.dev", "Slack.env.prod"]


def test_nulls_and_unknown_keys_are_ignored(client: Client) -> None:
    pack = {"name": "P", "labels": None, "commands": None, "events": None, "links": None, "id": "other", "x": [1]}
    body = json.loads(post(client, pack).content)
    assert (body["id"], set(body)) == ("P", {"id", "name", "lastSeen", "links", "status"})


@pytest.mark.parametrize("rel", ["self", "up", "x/event", "http://h/takeAction", "#/actionResult"])
def test_reserved_rels_are_refused(client: Client, rel: str) -> None:
    response = post(client, {"name": "P", "links": [{"href": "http://h", "rel": rel}]})
    assert paths_of_errors(response) == ["links"]
    assert Pack.objects.count() == 0


@pytest.mark.parametrize("rel", ["setup", "upstream", "selfie", "help", "event", "takeAction", "x/events", ""])
def test_rels_similar_to_reserved_ones_are_accepted(client: Client, rel: str) -> None:
    response = post(client, {"name": "P", "links": [{"href": "http://h", "rel": rel}]})
    assert json.loads(response.content)["links"][0] == {"href": "http://h", "rel": rel}


@pytest.mark.parametrize(
    ("pack", "path"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": True}, "name"),
        ({"name": ["a"]}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "."}, "name"),
        ({"name": "..", "labels": {"a": "b"}}, "name"),
        ({"name": "P", "labels": []}, "labels"),
        ({"name": "P", "labels": {"a": 1}}, "labels.a"),
        ({"name": "P", "labels": {"a": "x\u0000"}}, "labels.a"),
        ({"name": "P", "labels": {"a\u0000": "x"}}, "labels"),
        ({"name": "P", "labels": {"a\nb": "x"}}, "labels"),
        ({"name": "P", "labels": {"x" * 500: "y" * 100}}, ""),
        ({"name": "P", "commands": {}}, "commands"),
        ({"name": "P", "commands": ["Do"]}, "commands[0]"),
        ({"name": "P", "commands": [{"name": "Do"}, {}]}, "commands[1].name"),
        ({"name": "P", "commands": [{"name": "Do", "events": "Done"}]}, "commands[0].events"),
        ({"name": "P", "commands": [{"name": "Do", "events": [""]}]}, "commands[0].events[0]"),
        ({"name": "P", "events": [{"name": 1}]}, "events[0].name"),
        ({"name": "P", "events": [{"name": "E", "links": [{"href": 1}]}]}, "events[0].links[0].href"),
        ({"name": "P", "links": [{"href": 1}]}, "links[0].href"),
        ({"name": "P", "links": ["x"]}, "links[0]"),
    ],
)
def test_an_invalid_pack_is_refused_with_the_path(client: Client, pack: Any, path: str) -> None:
    assert set(paths_of_errors(post(client, pack))) == {path}
    assert Pack.objects.count() == 0


def test_a_deleted_pack_is_not_found_and_can_register_again(client: Client) -> None:
    register_pack("Gone")
    response = client.delete("/v1/packs/Gone")
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get("/v1/packs/Gone"), 404)
    problem(client.delete("/v1/packs/Gone"), 404)
    assert post(client, {"name": "Gone"}).status_code == 201


def test_the_list_is_in_byte_order_with_the_status_of_each_pack(client: Client) -> None:
    names = ["b", "B", "a", "é", "_", "a.b", "a b", "Ab", "aB", "日"]
    for name in names:
        register_pack(name)
    now = timezone.now()
    Pack.objects.filter(name="b").update(last_seen=now - timedelta(hours=1))
    Pack.objects.filter(name="B").update(last_seen=now - timedelta(days=2))
    listed = json.loads(client.get("/v1/packs").content)["packs"]
    assert [pack["id"] for pack in listed] == sorted(names)
    status = {pack["id"]: pack["status"] for pack in listed}
    assert (status["a"], status["b"], status["B"]) == ("live", "warning", "critical")
    assert set(listed[0]) == {"id", "name", "lastSeen", "links", "status"}
    assert listed[0]["links"] == [{"href": f"{H}/v1/packs/Ab", "rel": "self"}]


def follow(client: Client, path: str, collection: str) -> list[list[Any]]:
    """Return the pages of a list, by its `next` links."""
    pages = []
    while path:
        body = json.loads(client.get(path).content)
        pages.append(body[collection])
        path = next((link["href"].removeprefix(H) for link in body["links"] if link["rel"] == "next"), "")
    return pages


def test_next_links_lead_to_more_than_a_thousand_packs(client: Client) -> None:
    now = timezone.now()
    identities = [f"P {number:04}/%&=é" for number in range(2001)]
    Pack.objects.bulk_create(Pack(identity=identity, name=identity, last_seen=now) for identity in reversed(identities))
    pages = follow(client, "/v1/packs", "packs")
    assert [len(page) for page in pages] == [1000, 1000, 1]
    assert [pack["id"] for page in pages for pack in page] == identities


def test_a_thousand_packs_are_one_page(client: Client) -> None:
    now = timezone.now()
    Pack.objects.bulk_create(Pack(identity=f"{n}", name="P", last_seen=now) for n in range(1000))
    assert [len(page) for page in follow(client, "/v1/packs", "packs")] == [1000]


@pytest.mark.parametrize("after", ["", "zzz", "%00", "'; DROP TABLE packs_pack; --", "\ud83d"])
def test_after_can_be_any_text(client: Client, after: str) -> None:
    register_pack("P")
    query = after.encode("utf-8", "surrogatepass")
    assert client.get("/v1/packs", {"after": query}).status_code == 200


def test_a_nul_in_a_query_is_refused(client: Client) -> None:
    assert paths_of_errors(client.get("/v1/packs", {"after": "a\0"})) == ["after"]


@pytest.mark.database
def test_an_idle_poll_needs_two_queries_and_writes_nothing(client: Client) -> None:
    register_pack("Idle", env="prod")
    with CaptureQueriesContext(connection) as queries:
        assert client.post("/v1/packs/Idle.env.prod/actions/take").status_code == 204
    assert len(queries) <= 2
    assert all(query["sql"].lstrip().upper().startswith(("SELECT", "WITH")) for query in queries)


def test_last_seen_is_updated_at_most_once_per_interval(client: Client) -> None:
    pack = register_pack("Seen")
    long_ago = timezone.now() - timedelta(days=3)
    Pack.objects.update(last_seen=long_ago)
    client.post("/v1/packs/Seen/actions/take")
    pack.refresh_from_db()
    last_seen = pack.last_seen
    assert (pack.status, last_seen > long_ago) == ("live", True)
    client.post("/v1/packs/Seen/actions/take")
    pack.refresh_from_db()
    assert pack.last_seen == last_seen
    Pack.objects.update(last_seen=last_seen - LAST_SEEN_RESOLUTION - timedelta(seconds=1))
    body = b'{"event": "Happened"}'
    assert client.post("/v1/packs/Seen/events", body, content_type="application/json").status_code == 202
    pack.refresh_from_db()
    assert pack.last_seen >= last_seen


def test_reading_a_pack_does_not_update_last_seen(client: Client) -> None:
    pack = register_pack("Looked")
    long_ago = timezone.now() - timedelta(days=3)
    Pack.objects.update(last_seen=long_ago)
    assert json.loads(client.get("/v1/packs/Looked").content)["status"] == "critical"
    client.get("/v1/packs")
    pack.refresh_from_db()
    assert pack.last_seen == long_ago
