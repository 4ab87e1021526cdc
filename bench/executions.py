"""The audit's list at very many executions, as the API gives it: time, and what the database reads for a page.

`python -m bench.inside sqlite executions` or `postgresql`, and a size other than the usual.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from django.test import Client, override_settings

from bench.inside import read, tell, timed
from flows.models import FlowVersion
from tests.audit.many import DOCUMENT, VERSION, write

SIZE = 1_000_000
TIMES = 20
FILTERS = {
    "first page": "",
    "state=failed": "state=failed",
    "state=cancelled (one, long ago)": "state=cancelled",
    "flowName, many": "flowName=many",
    "flowName, one of long ago": "flowName=old",
    "stepId, rare": "stepId=rare",
    "stepId, every execution": "stepId=work",
    "actionName, one of long ago": "actionName=old",
    "actionPackName, one of long ago": "actionPackName=old",
    "actionPackLabels": "actionPackLabels=env:prod",
}


def main(database: str, arguments: Sequence[str]) -> None:
    """Measure, and print a line of JSON for each filter."""
    size = int(arguments[0]) if arguments else SIZE
    FlowVersion.objects.create(id=VERSION, flow_name="many", document=DOCUMENT)
    write(size, datetime.now(UTC))
    with override_settings(FLYTE_ALLOWED_HOSTS=("testserver",)):
        for name, query in FILTERS.items():
            measure(database, size, name, query)
        deep = last_of_page(50)
        measure(database, size, "deep page (the 51st)", deep)


def measure(database: str, size: int, name: str, query: str) -> None:
    client = Client()

    def call() -> None:
        answer = client.get(f"/v1/audit/flows?{query}")
        if answer.status_code != 200:
            raise ValueError(f"{query} was answered {answer.status_code}")

    call()
    tell(database=database, executions=size, page=name, **timed(call, TIMES), **read(call, 3))


def last_of_page(pages: int) -> str:
    """The query of a page that comes after so many."""
    return f"start={pages * 50}"
