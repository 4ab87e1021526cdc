"""Users for every role, created in the database of a running server."""

import json
import subprocess
import sys

from tests import processes
from tests.server import MIGRATE_SECONDS, ROOT, Server

ROLES = ("viewer", "editor", "operator", "admin")
PASSWORD = "as-good-as-any-other-7"

_MAKE = """
from django.contrib.auth.models import Group, User
for role in {roles}:
    user = User.objects.create_user("some-" + role if role else "nobody", password={password})
    user.groups.set(Group.objects.filter(name=role))
"""


def make_people(server: Server) -> None:
    """Create a user for each role, such as `some-viewer`, and `nobody` without a role."""
    script = _MAKE.format(roles=json.dumps(["", *ROLES]), password=json.dumps(PASSWORD))
    processes.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", script],
        cwd=ROOT,
        env=server.environment,
        stdin=subprocess.DEVNULL,
        timeout=MIGRATE_SECONDS,
        check=True,
        capture_output=True,
    )
