"""A plugin that orders the tests of a run: `pytest -p tests.suite.order [--order-seed N]`.

The longest tests come first, so that none of them runs alone at the end: pytest-xdist's `worksteal` gives the first
tests to one worker, and takes other tests from it while they run. With a seed, modules are in random order, and so are
the tests of each module. Tests of a module stay together, because they share servers.
"""

import random

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order-seed", type=int, help="run the tests in the random order of this seed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("order_seed")
    if seed is None:
        items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    else:
        shuffle(items, seed)


def shuffle(items: list[pytest.Item], seed: int) -> None:
    """Shuffle the modules, and the tests of each module; the same seed and tests have the same order."""
    generator = random.Random(seed)
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
    names = list(modules)
    generator.shuffle(names)
    for tests in modules.values():
        generator.shuffle(tests)
    items[:] = [item for name in names for item in modules[name]]
