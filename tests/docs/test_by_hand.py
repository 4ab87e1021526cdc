"""The page on using the API by hand: its lines, typed from top to bottom."""

import pytest

from tests import processes
from tests.docs.pages import at, blocks
from tests.programs import needs
from tests.server import ROOT, Server

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "how-to" / "use-the-api-by-hand.md"
SECONDS = 120
# Refusals are errors here.
STRICT_CURL = (
    'set -euo pipefail\ncurl() { command curl --noproxy "*" --silent --show-error --fail-with-body "$@" || exit 1; }\n'
)


def test_the_lines_do_what_they_say(server: Server) -> None:
    for program in ("curl", "jq"):
        needs(program)
    script = STRICT_CURL + "\n".join(blocks(PAGE, "sh"))
    done = processes.run(
        ["bash", "-c", at(server, script)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("Siren.house.north live", '"change":"new"', "by hand", "value: SUCCESS"):
        assert told in done.stdout
