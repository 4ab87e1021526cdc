"""Names of packs, flows, events and items that contain markup: pages escape them and never link to other sites."""

from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse

from flows.models import Event, Execution, Flow
from packs import registry
from packs.models import Pack
from tests.console.conftest import SignedOn
from tests.flows import builders as b
from tests.site.shape import put_value

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

NAME = """"><img src=x onerror=alert(1)>'</script><script>alert(1)</script>{{ 7 }}"""
LINKS = ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x", "//evil.example.org"]
MAX_PAGES = 120


class NamedPage(HTMLParser):
    """A parser that collects the links of a page, and anything that would run or lead to other sites."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        handlers = [name for name in values if name.startswith("on")]
        inline = tag == "script" and "src" not in values and values.get("type") != "application/json"
        if handlers or inline or values.get("src") == "x":
            self.wrong.append(self.get_starttag_text() or tag)
        for name in ("href", "src", "action", "formaction"):
            if (
                (to := values.get(name)) and not to.startswith(("/", "?", "#", "../", "http://", "https://"))
            ) or to in LINKS:
                self.wrong.append(f"{name}={to}")
        if tag == "a":
            self.links.append(values.get("href", ""))


@pytest.fixture
def hostile(client: Client) -> None:
    """Create objects of each kind with the name `NAME`."""
    links = [{"href": to, "rel": "help"} for to in LINKS]
    sender = registry.register(
        {
            "name": NAME,
            "labels": {NAME: NAME},
            "commands": [{"name": NAME, "events": [NAME], "links": links}],
            "events": [{"name": NAME, "links": links}],
            "links": links,
        }
    )
    command = {"packName": "Gone", "name": NAME, "packLabels": {NAME: NAME}, "input": {NAME: "{{ Event.Payload.x }}"}}
    trigger = {"packName": NAME, "name": NAME}
    b.save(
        {"id": "a", "event": trigger, "command": command, "context": {"C": "{{ Event.Payload.x }}"}},
        {"id": "b", "event": trigger, "command": {**command, "packName": NAME, "packLabels": {}, "name": "Do"}},
        name=NAME,
        description=NAME,
        labels={NAME: NAME},
    )
    b.tell(sender, NAME, {"x": NAME, NAME: [NAME]})
    b.work(sender, NAME, {NAME: NAME})
    put_value(client, quote(NAME, safe=""), b"<script>alert(1)</script>", "text/html", description=NAME)


def pages(client: Client) -> Iterator[tuple[str, NamedPage]]:
    """Follow all links from the home page, the lists and the created objects; yield each path with its parsed page."""
    to_do = [reverse(f"admin:{model}_changelist") for model in ("flows_flow", "flows_event", "datastore_item")]
    to_do += [
        "/admin/",
        f"/admin/packs/pack/{Pack.objects.get().pk}/",
        f"/admin/flows/event/{Event.objects.latest('id').id}/",
    ]
    to_do += [f"/admin/flows/execution/{Execution.objects.latest('id').id}/{part}" for part in ("", "now")]
    to_do += [f"/admin/flows/flow/{Flow.objects.get().pk}/{part}/" for part in ("change", "versions", "why")]
    seen: set[str] = set()
    while to_do and len(seen) < MAX_PAGES:
        path = to_do.pop(0).partition("#")[0]
        if path in seen or not path.startswith("/admin/"):
            continue
        seen.add(path)
        answer = client.get(path, follow=True)
        assert answer.status_code in (200, 286), path
        if answer.headers["Content-Type"].startswith("text/html") and not answer.has_header("Content-Disposition"):
            page = NamedPage()
            page.feed(answer.content.decode())
            to_do += page.links
            yield path, page


def test_no_name_becomes_markup_or_a_script_link(hostile: None, signed_on: SignedOn) -> None:
    visited = dict(pages(signed_on("admin")))
    assert len(visited) > 25
    assert {path: page.wrong for path, page in visited.items() if page.wrong} == {}
