"""A plugin that starts the longest tests first: `pytest -p tests.suite.order`.

None of them is the last one to run: pytest-xdist's `worksteal` gives the first tests to one worker, and takes other
tests from it while they run. With pytest-random-order only the other tests are in random order.
"""

import pytest

LONGEST = (
    "tests/hosted/test_crashes.py",
    "tests/faults/test_soak.py",
    "tests/jobs/test_two_servers.py",
    "tests/jobs/test_run.py",
    "tests/jobs/test_celery.py",
    "tests/flows/test_secrets_live.py",
    "tests/client/test_spool_live.py",
    "tests/client/test_package.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
