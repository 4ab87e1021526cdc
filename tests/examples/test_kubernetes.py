"""The example that deploys to a Kubernetes cluster, with a local HTTP stub of the cluster."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.hosted.web_service import WebService, web_service
from tests.jobs.processes import running
from tests.server import ROOT, running_server

from .world import SECONDS, ExampleClient, ScriptedPack, link, states

pytestmark = pytest.mark.acceptance

FOLDER = ROOT / "examples" / "hosted"
CLUSTER = "https://kubernetes.example.org"
PATIENCE = 60.0


class Cluster:
    """Deployments by path. A patched one immediately has as many new replicas as `ready`."""

    def __init__(self, web: WebService) -> None:
        self.web = web
        self.ready = 2
        web.respond = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        kind = {"content-type": "application/json"}
        if not path.endswith("/foo-app"):
            name = path.rpartition("/")[2]
            problem = {"kind": "Status", "code": 404, "message": f'deployments.apps "{name}" not found'}
            return 404, kind, json.dumps(problem).encode()
        status = {"replicas": 2, "updatedReplicas": self.ready, "availableReplicas": self.ready}
        return 200, kind, json.dumps({"kind": "Deployment", "spec": {"replicas": 2}, "status": status}).encode()


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ExampleClient, Cluster, ScriptedPack]]:
    folder = tmp_path_factory.mktemp("kubernetes")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "kubernetes").write_text("Bearer of-the-service-account")
    with ExitStack() as stack:
        web = stack.enter_context(web_service())
        configuration = (FOLDER / "kubernetes.conf").read_text().replace("kubernetes.example.org", web.url)
        (folder / "webapi.conf").write_text(configuration)
        variables = {
            "FLYTE_WEBAPI_PLUGINS": "WaitUntil,HttpRequest",
            "FLYTE_WEBAPI_ALLOWED_HOSTS": "127.0.0.0/8",
            "FLYTE_WEBAPI_CONFIG": str(folder / "webapi.conf"),
            "FLYTE_WEBAPI_SECRETS_PATH": str(folder / "secrets"),
        }
        server = stack.enter_context(running_server(folder, variables))
        stack.enter_context(running(folder, server.environment, "jobs"))
        http = stack.enter_context(httpx.Client(trust_env=False, timeout=SECONDS))
        world = ExampleClient(http, server.url)
        where = (FOLDER / "cluster.json").read_text().replace(CLUSTER, web.url)
        item = {"value": ("cluster.json", where, "application/json")}
        http.put(f"{server.url}/v1/datastore/cluster", files=item).raise_for_status()
        wait_for(lambda: len(world.get(f"{server.url}/v1/packs")["packs"]) == 2)
        chat = world.pack("Chat", {"SendMessage": ["MessageSent"]})
        flow, kind = (FOLDER / "kubernetes.yaml").read_bytes(), {"content-type": "application/x-yaml"}
        http.post(link(world.links, "/listFlows"), content=flow, headers=kind).raise_for_status()
        yield world, Cluster(web), chat


def wait_for(read: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (result := read()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert result
    return result


def get_reply(chat: ScriptedPack, message: str) -> Any:
    """Send a message and return the chat's reply."""
    chat.send_event("ReceivedMessage", {"message": message})
    taken = wait_for(chat.poll)
    taken.send_result("MessageSent")
    return taken.input


def test_a_version_comes_into_the_cluster(kubernetes: tuple[ExampleClient, Cluster, ScriptedPack]) -> None:
    world, cluster, chat = kubernetes
    cluster.ready = 2
    cluster.web.requests.clear()
    assert get_reply(chat, "kubernetes foo-app 1.2.0") == "foo-app 1.2.0 runs"
    patch, query = cluster.web.requests
    path = "/apis/apps/v1/namespaces/default/deployments/foo-app"
    assert (patch.method, patch.path, query.method, query.path) == ("PATCH", path, "GET", path)
    assert patch.headers["content-type"] == "application/strategic-merge-patch+json"
    assert patch.headers["authorization"] == query.headers["authorization"] == "Bearer of-the-service-account"
    image = {"name": "foo-app", "image": "registry.example.org/foo-app:1.2.0"}
    assert json.loads(patch.body) == {"spec": {"template": {"spec": {"containers": [image]}}}}
    execution = world.executions("kubernetes")[0]
    assert states(execution) == dict.fromkeys(("deploy", "wait", "check", "report_running"), "SUCCESS")
    assert "of-the-service-account" not in json.dumps(execution)


def test_a_deployment_that_is_not_ready_is_reported(kubernetes: tuple[ExampleClient, Cluster, ScriptedPack]) -> None:
    _, cluster, chat = kubernetes
    cluster.ready = 1
    assert get_reply(chat, "kubernetes foo-app 1.3.0") == "foo-app 1.3.0 is not there yet: 1 of 2 are new"


def test_the_clusters_refusal_is_reported_with_its_message(
    kubernetes: tuple[ExampleClient, Cluster, ScriptedPack],
) -> None:
    _, _, chat = kubernetes
    assert (
        get_reply(chat, "kubernetes bar-app 1.0") == 'the cluster refuses bar-app: deployments.apps "bar-app" not found'
    )


def test_the_page_names_the_example() -> None:
    assert "hosted/kubernetes.yaml" in (ROOT / "examples" / "README.md").read_text()
