"""The page on using the API by hand: its lines, run from top to bottom."""

import pytest

from tests import processes
from tests.docs.pages import at, blocks
from tests.programs import needs
from tests.server import ROOT, Server

pytestmark = pytest.mark.acceptance

PAGE = ROOT / "docs" / "how-to" / "use-the-api-by-hand.md"
SECONDS = 120
# An error response ends the script.
STRICT_CURL = (
    'set -euo pipefail\ncurl() { command curl --noproxy "*" --silent --show-error --fail-with-body "$@" || exit 1; }\n'
)


def test_the_lines_have_the_documented_effects(server: Server) -> None:
    for program in ("curl", "jq"):
        needs(program)
    script = STRICT_CURL + "\n".join(blocks(PAGE, "sh"))
    done = processes.run(
        ["bash", "-c", at(server, script)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("Siren.house.north live", '"change":"new"', "by hand", "value: SUCCESS"):
        assert text in done.stdout
