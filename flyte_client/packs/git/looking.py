"""Looks at each repository from time to time, and tells what has changed."""

import logging
import threading
from typing import Any

from flyte_client.errors import RefusedError
from flyte_client.packs.git.changes import Change, changes
from flyte_client.packs.git.command import Git, GitError
from flyte_client.packs.git.mirror import Mirror
from flyte_client.packs.git.settings import Repository, Settings
from flyte_client.packs.git.telling import Teller

EVENTS = (
    "BranchPushed",
    "BranchDeleted",
    "TagPushed",
    "TagDeleted",
    "RepositoryUnreachable",
    "RepositoryReachable",
)

logger = logging.getLogger(__name__)


class Lookout:
    """Goes round the repositories of `settings`, one after the other."""

    def __init__(self, settings: Settings, teller: Teller) -> None:
        self._settings = settings
        self._teller = teller

    def run(self, ending: threading.Event) -> None:
        git = Git(self._settings.protocols, self._settings.timeout, ending)
        while not ending.is_set():
            try:
                self._teller.finish()
                for repository in self._settings.repositories:
                    self._look(git, repository, ending)
            except RefusedError:
                pass  # is in the log; what was refused is kept, and tried again in the next round
            ending.wait(self._settings.every)

    def _look(self, git: Git, repository: Repository, ending: threading.Event) -> None:
        mirror = Mirror(git, repository, self._settings.folder)
        try:
            now = {ref: new for ref, new in mirror.fetch().items() if repository.wants(ref)}
            self._reached(repository)
            known = self._teller.known(repository.name, repository.url)
            if known is None:
                self._teller.begin(repository.name, repository.url, now)
                return
            for change in list(changes(known, now)):
                self._tell(mirror, repository, change)
        except GitError as error:
            if not ending.is_set():
                self._failed(repository, str(error))

    def _tell(self, mirror: Mirror, repository: Repository, change: Change) -> None:
        kind = "Tag" if change.is_tag else "Branch"
        payload = _about(repository) | {kind.lower(): change.name, "old": change.old, "new": change.new}
        if change.new is None:
            self._teller.tell(repository.name, change.ref, None, f"{kind}Deleted", payload)
            return
        told = self._tag(mirror, change) if change.is_tag else self._branch(mirror, change, change.new)
        self._teller.tell(repository.name, change.ref, change.new, f"{kind}Pushed", payload | told)

    def _branch(self, mirror: Mirror, change: Change, new: str) -> dict[str, Any]:
        kind = "created"
        if change.old:
            kind = "updated" if mirror.leads_to(change.old, new) else "forced"
        # What a forced push left behind may be in no copy any more: then it tells of the new commits only.
        old = None if kind == "forced" and mirror.commit(change.old or "") is None else change.old
        commits, more = mirror.commits(change.name, old, new, self._settings.commits)
        return {"kind": kind, "commits": commits, "more": more}

    def _tag(self, mirror: Mirror, change: Change) -> dict[str, Any]:
        return {"kind": "moved" if change.old else "created", "commit": mirror.commit(change.ref)}

    def _failed(self, repository: Repository, reason: str) -> None:
        logger.warning("repository_unreachable repository=%s reason=%r", repository.name, reason)
        if not self._teller.failing(repository.name):
            payload = _about(repository) | {"error": reason}
            self._teller.tell_failing(repository.name, True, "RepositoryUnreachable", payload)

    def _reached(self, repository: Repository) -> None:
        if self._teller.failing(repository.name):
            self._teller.tell_failing(repository.name, False, "RepositoryReachable", _about(repository))


def _about(repository: Repository) -> dict[str, Any]:
    return {"repository": repository.name, "url": repository.url}
