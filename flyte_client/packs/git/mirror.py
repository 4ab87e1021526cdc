"""A bare copy of a repository in the pack's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flyte_client.packs.git.git_runner import GitError, GitRunner
from flyte_client.packs.git.settings import WatchedRepository

REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
LOG_FORMAT = "--format=tformat:%H%n%an%n%ae%n%cI%n%B"
MAX_NAME_LENGTH = 200
MAX_MESSAGE_LENGTH = 2000


class Mirror:
    """A mirror of a repository. All methods raise `GitError`; hashes must come from the repository."""

    def __init__(self, git: GitRunner, repository: WatchedRepository, folder: Path) -> None:
        self._git = git
        self._repository = repository
        self._folder = folder / f"{repository.name}.git"

    def fetch(self) -> Mapping[str, str]:
        """Update the copy; return its branches and tags (`refs/heads/main` …) with their hashes."""
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

    def list_commits(
        self, branch: str, old: str | None, new: str, max_commits: int
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return the newest commits of a push, and True if there are more than `max_commits`.

        For a new branch, these are the commits that are on no other branch.
        """
        exclusions = [f"^{old}"] if old else ["--not", f"--exclude={branch}", "--branches"]
        commits = self._run_log([f"--max-count={max_commits + 1}", new, *exclusions])
        return commits[:max_commits], len(commits) > max_commits

    def find_commit(self, name: str) -> dict[str, Any] | None:
        """Return the commit that a tag points to, or None if it points to something else."""
        code, output = self._git.run(
            self._folder,
            ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"],
            allowed_codes=(0, 1, 128),
        )
        commits = self._run_log(["--max-count=1", output.decode().strip()]) if code == 0 else []
        return commits[0] if commits else None

    def is_ancestor(self, old: str, new: str) -> bool:
        """Return True if `old` is an ancestor of `new`; otherwise the push was forced."""
        try:
            code, _ = self._git.run(self._folder, ["merge-base", "--is-ancestor", old, new], allowed_codes=(0, 1))
        except GitError:
            return False  # the old commit no longer exists
        return code == 0

    def _run_log(self, arguments: list[str]) -> list[dict[str, Any]]:
        fixed_options = ["--no-color", "--no-show-signature", "--no-notes", "--encoding=UTF-8", LOG_FORMAT]
        _, output = self._git.run(self._folder, ["log", "-z", *fixed_options, *arguments, "--"])
        return [_parse_commit(entry) for entry in output.decode(errors="replace").split("\0") if entry]


def _parse_commit(entry: str) -> dict[str, Any]:
    commit, name, email, time, message = [*entry.split("\n", 4), "", "", "", ""][:5]
    return {
        "id": commit,
        "author": {"name": name[:MAX_NAME_LENGTH], "email": email[:MAX_NAME_LENGTH]},
        "time": time,
        "title": message.partition("\n")[0][:MAX_NAME_LENGTH],
        "message": message[:MAX_MESSAGE_LENGTH].rstrip("\n"),
    }
