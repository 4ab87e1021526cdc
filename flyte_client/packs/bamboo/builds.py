"""Bamboo's plans and builds over its REST API."""

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flyte_client.events import Event
from flyte_client.packs.bamboo.settings import PLAN
from flyte_client.packs.basis.news import Item
from flyte_client.packs.basis.rest import Rest, RestError, segment

API = "/rest/api/latest"
# As many as Bamboo gives at once when nothing else is asked for.
LOOKED_AT = 25
BUILD = re.compile(r"[A-Z][A-Z0-9]*-[A-Z][A-Z0-9]*-[0-9]{1,9}\Z")
ENDS = {"Successful": "BuildSuccessful", "Failed": "BuildFailed"}


@dataclass(frozen=True)
class Builds:
    """All raise `RestError`, or `ValueError` for what can't be asked."""

    rest: Rest
    url: str

    def trigger(self, plan: Any, variables: Mapping[str, str]) -> dict[str, Any]:
        """Start a build with these variables; its key and number."""
        path = f"{API}/queue/{_key(plan, PLAN, 'plan, such as WEB-MAIN')}"
        made = self.rest.post(path, **{f"bamboo.variable.{name}": value for name, value in variables.items()})
        if not isinstance(made, dict) or not made.get("buildResultKey"):
            raise RestError("the answer names no build")
        return {"build": str(made["buildResultKey"]), "number": made.get("buildNumber", 0)}

    def add_label(self, build: Any, label: str) -> None:
        self.rest.post(f"{self._result(build)}/label", {"name": label})

    def delete_label(self, build: Any, label: str) -> None:
        self.rest.delete(f"{self._result(build)}/label/{segment(label)}")

    def add_comment(self, build: Any, comment: str) -> None:
        self.rest.post(f"{self._result(build)}/comment", {"content": comment})

    def ended(self, plan: str, ending: threading.Event) -> Sequence[Item]:
        """The plan's last builds that have succeeded or failed, oldest first."""
        query: dict[str, str | int] = {"expand": "results.result", "max-results": LOOKED_AT}
        answer = self.rest.get(f"{API}/result/{plan}", ending, **query)
        results = answer.get("results") if isinstance(answer, dict) else None
        found = results.get("result") if isinstance(results, dict) else None
        if not isinstance(found, list):
            raise RestError("the answer lists no builds")
        items = [self._item(plan, one) for one in found if isinstance(one, dict)]
        return [item for item in reversed(items) if item]

    def _item(self, plan: str, result: Mapping[str, Any]) -> Item | None:
        build, state = str(result.get("buildResultKey") or result.get("key") or ""), str(result.get("state"))
        if state not in ENDS or result.get("lifeCycleState") != "Finished" or not BUILD.match(build):
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
        return Item(f"{build}/{state}/{completed}", Event(ENDS[state], payload))  # a build that is run again ends again

    def _result(self, build: Any) -> str:
        return f"{API}/result/{_key(build, BUILD, 'build, such as WEB-MAIN-12')}"


def _key(given: Any, pattern: re.Pattern[str], what: str) -> str:
    if not isinstance(given, str) or not pattern.match(given):
        raise ValueError(f"{str(given)[:100]!r} is no {what}")
    return given
