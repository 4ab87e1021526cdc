"""The API's list of executions with many executions: duration and database reads of one page.

Run `python -m bench.in_process sqlite executions` or `postgresql`; a further argument sets the size.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.test import Client, override_settings

from bench.in_process import count_reads, print_row, time_percentiles
from tests.audit.bulk_executions import OWN_LABELS, Dataset, id_of, insert_executions

SIZE = 1_000_000
# The number of executions that each require a different label.
HOSTS = 100_000
REPEATS = 20
FILTERS = {
    "first page": "",
    "state=failed": "state=failed",
    "state=cancelled (one, long ago)": "state=cancelled",
    "flowName, many": "flowName=many",
    "flowName, one of long ago": "flowName=old",
    "stepId, rare": "stepId=rare",
    "stepId, every execution": "stepId=work",
    "stepId, none": "stepId=none",
    "actionName, every execution": "actionName=Do",
    "actionName, one of long ago": "actionName=old",
    "actionPackName, every execution": "actionPackName=Wrk",
    "actionPackName, one of long ago": "actionPackName=old",
    "actionPackLabels, one in a thousand": "actionPackLabels=env:prod",
    "actionPackLabels, none": "actionPackLabels=env:none",
    "two filters that leave none": "actionPackName=Wrk&state=cancelled",
    "first page of 500": "limit=500",
}
DEEP_PAGES = {
    "deep page (olderThan, 9 in 10 are newer)": "olderThan={deep}",
    "deep page of a pack": "actionPackName=Wrk&olderThan={deep}",
    "deep page of labels": "actionPackLabels=env:prod&olderThan={deep}",
    "the 10,000 newest passed over (start)": "start=10000",
}
DISTINCT_LABELS = {
    "own labels, of the newest": "host:h-1",
    "own labels, of long ago": "host:h-{old}",
    "own labels, none": "host:no",
}


def main(database: str, arguments: Sequence[str]) -> None:
    """Print a line of JSON for each filter, first with executions that each require a different label."""
    size = int(arguments[0]) if arguments else SIZE
    newest = datetime.now(UTC)
    with override_settings(FLYTE_ALLOWED_HOSTS=("testserver",)):
        hosts, old = min(size, HOSTS), old_number(min(size, HOSTS))
        with insert_executions(hosts, Dataset(newest, old, OWN_LABELS)):
            for name, labels in DISTINCT_LABELS.items():
                measure(database, hosts, name, f"actionPackLabels={labels.format(old=old)}")
        with insert_executions(size, Dataset(newest, old_number(size))):
            deep = id_of(size - size // 10, 2, newest)
            for name, query in (FILTERS | DEEP_PAGES).items():
                measure(database, size, name, query.format(deep=deep))


def old_number(size: int) -> int:
    """Return the number of the only execution with the flow, state, step and pack `old`."""
    return size - size // 20


def measure(database: str, size: int, name: str, query: str) -> None:
    """Print the cost of a page."""
    client = Client()

    def call() -> None:
        response = client.get(f"/v1/audit/flows?{query}")
        if response.status_code != 200:
            raise ValueError(f"unexpected status {response.status_code} of {query}")

    for _ in range(6):  # PostgreSQL plans a prepared statement on each of its first executions
        call()
    print_row(database=database, executions=size, page=name, **time_percentiles(call, REPEATS), **count_reads(call, 3))
