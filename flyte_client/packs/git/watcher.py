"""Polling of repositories, with events for their changes."""

import logging
import threading
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.packs.git.events import GitEventSender
from flyte_client.packs.git.git_runner import GitError, GitRunner
from flyte_client.packs.git.mirror import Mirror
from flyte_client.packs.git.ref_changes import RefChange, compare_refs
from flyte_client.packs.git.settings import GitSettings, WatchedRepository

EVENT_NAMES = (
    "BranchPushed",
    "BranchDeleted",
    "TagPushed",
    "TagDeleted",
    "RepositoryUnreachable",
    "RepositoryReachable",
)

logger = logging.getLogger(__name__)


class RepositoryWatcher:
    """Polls the repositories one after the other."""

    def __init__(self, settings: GitSettings, sender: GitEventSender) -> None:
        self._settings = settings
        self._sender = sender

    def run(self, stop_event: threading.Event) -> None:
        git = GitRunner(self._settings.protocols, self._settings.timeout, stop_event)
        while not stop_event.is_set():
            try:
                self._sender.send_pending()
                for repository in self._settings.repositories:
                    self._check_repository(git, repository, stop_event)
            except RefusedError:
                pass  # already logged; the refused event is kept, and retried in the next round
            stop_event.wait(self._settings.poll_seconds)

    def _check_repository(self, git: GitRunner, repository: WatchedRepository, stop_event: threading.Event) -> None:
        mirror = Mirror(git, repository, self._settings.folder)
        try:
            new_refs = {ref: new for ref, new in mirror.fetch().items() if repository.matches_ref(ref)}
            self._report_reachable(repository)
            old_refs = self._sender.get_refs(repository.name, repository.url)
            if old_refs is None:
                self._sender.initialize(repository.name, repository.url, new_refs)
                return
            for change in list(compare_refs(old_refs, new_refs)):
                self._send_change(mirror, repository, change)
        except GitError as error:
            if not stop_event.is_set():
                self._report_unreachable(repository, str(error))

    def _send_change(self, mirror: Mirror, repository: WatchedRepository, change: RefChange) -> None:
        kind = "Tag" if change.is_tag else "Branch"
        payload = _repository_fields(repository) | {kind.lower(): change.name, "old": change.old, "new": change.new}
        if change.new is None:
            self._sender.send_ref_event(repository.name, change.ref, None, f"{kind}Deleted", payload)
            return
        details = self._tag_fields(mirror, change) if change.is_tag else self._branch_fields(mirror, change, change.new)
        self._sender.send_ref_event(repository.name, change.ref, change.new, f"{kind}Pushed", payload | details)

    def _branch_fields(self, mirror: Mirror, change: RefChange, new: str) -> dict[str, Any]:
        kind = "created"
        if change.old:
            kind = "updated" if mirror.is_ancestor(change.old, new) else "forced"
        # After a forced push the old commit may no longer exist: then the event has only the new commits.
        old = None if kind == "forced" and mirror.find_commit(change.old or "") is None else change.old
        commits, more = mirror.list_commits(change.name, old, new, self._settings.max_commits)
        return {"kind": kind, "commits": commits, "more": more}

    def _tag_fields(self, mirror: Mirror, change: RefChange) -> dict[str, Any]:
        return {"kind": "moved" if change.old else "created", "commit": mirror.find_commit(change.ref)}

    def _report_unreachable(self, repository: WatchedRepository, reason: str) -> None:
        logger.warning("repository_unreachable repository=%s reason=%r", repository.name, reason)
        if not self._sender.is_failing(repository.name):
            payload = _repository_fields(repository) | {"error": reason}
            self._sender.send_reachability(repository.name, True, "RepositoryUnreachable", payload)

    def _report_reachable(self, repository: WatchedRepository) -> None:
        if self._sender.is_failing(repository.name):
            self._sender.send_reachability(
                repository.name, False, "RepositoryReachable", _repository_fields(repository)
            )


def _repository_fields(repository: WatchedRepository) -> dict[str, Any]:
    return {"repository": repository.name, "url": repository.url}
