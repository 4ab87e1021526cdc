"""A short soak on the suite's database: a server, packs and a sender under faults, and all checks pass.

`make test-faults` does the same for minutes, with several servers, Redis and Celery.
"""

import os
from pathlib import Path

import pytest

from tests.faults.checks import failed_checks
from tests.faults.report import defects_logged, table
from tests.faults.soak import Settings, prepare_soak
from tests.faults.store import damage
from tests.private_postgres import URL_VARIABLE

pytestmark = pytest.mark.acceptance

SHORT = Settings(
    seed=4,
    seconds=10,
    postgres=URL_VARIABLE in os.environ,
    redis=False,
    servers=1,
    senders=1,
    between=1.2,
    pace=0.2,
    # After each of these a server needs seconds to start; one kind is enough.
    excluded_kinds=frozenset({"server stopped", "supervisor killed", "serve killed", "web_worker frozen"}),
)


def test_accepted_events_and_results_survive_kills(tmp_path: Path) -> None:
    with prepare_soak(SHORT, tmp_path) as soak:
        story = soak.run()
        print(table(story))
        assert failed_checks(story) == {}
        assert soak.unsettled == []
        assert defects_logged(soak.storm.servers) == []
        assert damage(soak.database_url) == []
    assert list(story.notes_of_kind("fault"))
