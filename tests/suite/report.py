"""A plugin that writes the outcomes of a run into a file: `pytest -p tests.suite.report --report-to FILE`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest


@dataclass
class Report:
    """The outcomes of a run.

    `failures` and `skips` have the reason by node id, `database` the tests with this marker that ran.
    """

    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skips: dict[str, str] = field(default_factory=dict)
    database: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            self._count("skipped")
            self.skips[report.nodeid] = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "expected")
        elif report.failed:
            self._count("failed" if report.when == "call" else "errors")
            self._add_failure(report)
        elif report.when == "call":
            self._count("passed")
        if report.when == "call" and not report.skipped and "database" in report.keywords:
            self.database.append(report.nodeid)

    def _add_failure(self, report: pytest.TestReport) -> None:
        """Remember a failure, and print it at once instead of at the end of the run."""
        if report.nodeid not in self.failures:
            self.failures[report.nodeid] = _find_reason(report)
            print(f"\nfailed: {report.nodeid}: {self.failures[report.nodeid]}", flush=True)

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


def _find_reason(report: pytest.TestReport) -> str:
    """Return the first line of the error, such as `assert 1 == 2`."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return next(iter((crash.message if crash else report.longreprtext).splitlines()), "no reason given")


def read_report(path: Path) -> Report | None:
    """Return the report of a run, or None if it ended without one."""
    return Report(**json.loads(path.read_text())) if path.exists() else None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report-to", type=Path, required=True, help="the file for the outcomes of the run, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(), "report of the run")


def pytest_sessionfinish(session: pytest.Session) -> None:
    report = session.config.pluginmanager.get_plugin("report of the run")
    if report:
        session.config.getoption("report_to").write_text(json.dumps(asdict(report)))
