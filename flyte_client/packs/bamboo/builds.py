"""Client for Bamboo's plans and builds over its REST API."""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.bamboo.settings import PLAN_KEY
from flyte_client.packs.common.list_watcher import WatchedItem
from flyte_client.packs.common.rest_client import RestClient, RestError, quote_path_segment

API_PATH = "/rest/api/latest"
# Bamboo's default page size.
MAX_BUILDS = 25
BUILD_KEY = re.compile(r"[A-Z][A-Z0-9]*-[A-Z][A-Z0-9]*-[0-9]{1,9}\Z")
EVENT_BY_STATE = {"Successful": "BuildSuccessful", "Failed": "BuildFailed"}


@dataclass(frozen=True)
class BambooBuilds:
    """Bamboo operations. All raise `RestError`, or `ValueError` for an invalid argument."""

    rest: RestClient
    url: str

    def trigger_build(self, plan: Any, variables: Mapping[str, str]) -> dict[str, Any]:
        """Start a build with these variables; return its key and number."""
        path = f"{API_PATH}/queue/{_check_key(plan, PLAN_KEY, 'plan, such as WEB-MAIN')}"
        response = self.rest.post(path, **{f"bamboo.variable.{name}": value for name, value in variables.items()})
        if not isinstance(response, dict) or not response.get("buildResultKey"):
            raise RestError("unexpected response: no build")
        return {"build": str(response["buildResultKey"]), "number": response.get("buildNumber", 0)}

    def add_label(self, build: Any, label: str) -> None:
        self.rest.post(f"{self._result_path(build)}/label", {"name": label})

    def delete_label(self, build: Any, label: str) -> None:
        self.rest.delete(f"{self._result_path(build)}/label/{quote_path_segment(label)}")

    def add_comment(self, build: Any, comment: str) -> None:
        self.rest.post(f"{self._result_path(build)}/comment", {"content": comment})

    def list_finished(self, plan: str, stop_event: threading.Event) -> Sequence[WatchedItem]:
        """Return the plan's last builds that succeeded or failed, oldest first."""
        query: dict[str, str | int] = {"expand": "results.result", "max-results": MAX_BUILDS}
        response = self.rest.get(f"{API_PATH}/result/{plan}", stop_event, **query)
        results = response.get("results") if isinstance(response, dict) else None
        entries = results.get("result") if isinstance(results, dict) else None
        if not isinstance(entries, list):
            raise RestError("unexpected response: no list of builds")
        items = [self._to_item(plan, entry) for entry in entries if isinstance(entry, dict)]
        return [item for item in reversed(items) if item]

    def _to_item(self, plan: str, result: Mapping[str, Any]) -> WatchedItem | None:
        build, state = str(result.get("buildResultKey") or result.get("key") or ""), str(result.get("state"))
        if state not in EVENT_BY_STATE or result.get("lifeCycleState") != "Finished" or not BUILD_KEY.match(build):
            return None
        completed = str(result.get("buildCompletedTime") or "")
        payload = {
            "build": build,
            "plan": plan,
            "number": result.get("buildNumber") or result.get("number") or 0,
            "state": state,
            "reason": str(result.get("buildReason") or result.get("reasonSummary") or ""),
            "completed": completed,
            "seconds": result.get("buildDurationInSeconds") or 0,
            "url": f"{self.url}/browse/{build}",
        }
        # The completion time is part of the id, because a build can be run again.
        return WatchedItem(f"{build}/{state}/{completed}", Event(EVENT_BY_STATE[state], payload))

    def _result_path(self, build: Any) -> str:
        return f"{API_PATH}/result/{_check_key(build, BUILD_KEY, 'build, such as WEB-MAIN-12')}"


def _check_key(value: Any, pattern: re.Pattern[str], description: str) -> str:
    key = value.strip() if isinstance(value, str) else ""
    if not pattern.match(key):
        raise ValueError(f"{str(value)[:100]!r} is not a {description}")
    return key
