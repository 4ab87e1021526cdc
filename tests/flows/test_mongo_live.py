"""The import from a running MongoDB of the original server."""

import pytest
from django.core.management import CommandError, call_command

from flows.models import Flow
from packs.models import Pack
from tests.flows import mongo_dump as o
from tests.flows.mongo_server import Databases, running_mongodb

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def test_a_running_mongodb_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    flow = o.flow("ex", o.step("one"))
    collections = {"pack": [o.pack("Src")], "flow": [flow], "flowHistory": [flow], "action": [], "datastore": []}
    with running_mongodb({"flyte": collections}) as uri:
        call_command("import_mongodump", "--uri", uri)
    assert (Pack.objects.get().name, Flow.objects.get().name) == ("Src", "ex")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/misspelt", "database 'misspelt': not found or empty; databases: flyte, local"),
        ("/local", "database 'local': none of the original's collections; databases: flyte, local"),
    ],
)
def test_another_database_is_an_error_that_lists_the_databases(path: str, reason: str) -> None:
    databases: Databases = {"flyte": {"pack": []}, "local": {"startup_log": []}}
    with running_mongodb(databases) as uri, pytest.raises(CommandError) as raised:
        call_command("import_mongodump", "--uri", uri + path)
    assert (str(raised.value), raised.value.returncode) == (reason, 2)


def test_an_unreachable_mongodb_is_an_error_in_one_line() -> None:
    with pytest.raises(CommandError) as raised:
        call_command("import_mongodump", "--uri", "mongodb://")
    assert (raised.value.returncode, "\n" in str(raised.value)) == (2, False)
