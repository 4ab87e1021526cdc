"""Programs with an output in ASCII, as in a cron job or a container without a locale."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import processes
from tests.server import ROOT, Server

pytestmark = pytest.mark.acceptance

FLOW = """name: Grüße – 🚀
description: Größe
steps:
  - id: a
    event: {packName: P, name: E}
    command: {packName: Q, name: C, input: "“{{ Event.Payload }}” – ok"}
"""
ESCAPED_NAME = r"Gr\xfc\xdfe \u2013 \U0001f680"


def run(*arguments: object, **changes: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: text for name, text in os.environ.items() if not name.startswith("FLYTE_")}
    done = processes.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**environment, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0", "LC_ALL": "C", **changes},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["manage.py", "help"], r"\u2026"),
        (["-m", "flyte_client.packs.email", "--help"], r"FLYTE_EMAIL_FROM \u2026"),
    ],
)
def test_help_is_printed(arguments: list[str], text: str) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert text in " ".join(done.stdout.split())


def test_flyte_prints_flows_with_other_characters(server: Server, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW, encoding="utf-8")

    def flyte(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return run("-m", "flyte_client.cli", *arguments, FLYTE_API=server.url)

    compared = flyte("flows", "diff", tmp_path)
    assert (compared.returncode, ESCAPED_NAME in compared.stdout) == (1, True)
    applied = flyte("flows", "apply", tmp_path)
    assert (applied.returncode, applied.stdout.splitlines()[0]) == (0, f"new  {ESCAPED_NAME}")
    event = json.dumps({"event": "E", "payload": "–"})
    report = json.loads(flyte("try", tmp_path / "flow.yaml", "--event", event, "--json").stdout)
    assert report["flow"] == "Grüße – 🚀"
    out = tmp_path / "out"
    assert flyte("flows", "export", out, "Grüße – 🚀").returncode == 0
    assert next(out.iterdir()).read_text(encoding="utf-8") == FLOW
