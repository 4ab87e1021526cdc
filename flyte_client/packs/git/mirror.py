"""A copy of a repository, in a folder of the pack's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.packs.git.command import Git, GitError
from flyte_client.packs.git.settings import Repository

REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
FORMAT = "--format=tformat:%H%n%an%n%ae%n%cI%n%B"
LONGEST_NAME = 200
LONGEST_MESSAGE = 2000


class Mirror:
    """All methods raise `GitError`. Hashes that are given must be the repository's own."""

    def __init__(self, git: Git, repository: Repository, folder: Path) -> None:
        self._git = git
        self._repository = repository
        self._folder = folder / f"{repository.name}.git"

    def fetch(self) -> Mapping[str, str]:
        """Bring the copy up to date: every branch and tag there is now (`refs/heads/main` …), with its hash."""
        if not (self._folder / "HEAD").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._git.run(self._folder, ["init", "--quiet", "--bare"])
        options = ["--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"]
        self._git.run(self._folder, ["fetch", *options, "--", self._repository.url, *REFSPECS], self._repository)
        _, output = self._git.run(
            self._folder, ["for-each-ref", "--format=%(objectname) %(refname)", *("refs/heads", "refs/tags")]
        )
        lines = (line.partition(" ") for line in output.decode(errors="replace").splitlines())
        return {ref: new for new, _, ref in lines}

    def commits(self, branch: str, old: str | None, new: str, most: int) -> tuple[list[dict[str, Any]], bool]:
        """The newest commits that came with a push, and whether there are more than `most`.

        For a new branch those that are on no other branch.
        """
        others = [f"^{old}"] if old else ["--not", f"--exclude={branch}", "--branches"]
        found = self._log([f"--max-count={most + 1}", new, *others])
        return found[:most], len(found) > most

    def commit(self, name: str) -> dict[str, Any] | None:
        """The commit that a tag leads to; None for one that leads to something else."""
        code, output = self._git.run(
            self._folder,
            ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"],
            fine=(0, 1, 128),
        )
        found = self._log(["--max-count=1", output.decode().strip()]) if code == 0 else []
        return found[0] if found else None

    def leads_to(self, old: str, new: str) -> bool:
        """Whether `new` builds on `old`: if not, somebody has forced it."""
        try:
            code, _ = self._git.run(self._folder, ["merge-base", "--is-ancestor", old, new], fine=(0, 1))
        except GitError:
            return False  # the old commit is in no copy any more
        return code == 0

    def _log(self, arguments: list[str]) -> list[dict[str, Any]]:
        fixed = ["--no-color", "--no-show-signature", "--no-notes", "--encoding=UTF-8", FORMAT]
        _, output = self._git.run(self._folder, ["log", "-z", *fixed, *arguments, "--"])
        return [_commit(entry) for entry in output.decode(errors="replace").split("\0") if entry]


def _commit(entry: str) -> dict[str, Any]:
    commit, name, email, time, message = [*entry.split("\n", 4), "", "", "", ""][:5]
    return {
        "id": commit,
        "author": {"name": name[:LONGEST_NAME], "email": email[:LONGEST_NAME]},
        "time": time,
        "title": message.partition("\n")[0][:LONGEST_NAME],
        "message": message[:LONGEST_MESSAGE].rstrip("\n"),
    }
