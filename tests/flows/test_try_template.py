"""`manage.py try_template`."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from datastore.models import Item
from tests.template import recorded

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def run(*arguments: str, **options: Any) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("try_template", *arguments, stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def json_file(folder: Path, name: str, value: Any) -> Path:
    file = folder / name
    file.write_text(json.dumps(value))
    return file


def test_one_template_sees_event_context_and_datastore(tmp_path: Path) -> None:
    Item.objects.create(key="teams", value=b'{"dev": "x@y"}', content_type="application/json")
    event = {"event": "Said", "pack": {"id": "Slack.env.dev", "name": "Slack", "labels": {"env": "dev"}}, "payload": 5}
    out, err = run(
        "{{ Event.Name }} {{ Event.Pack.Labels.env }} {{ Event.Payload }} {{ Context.Who }} "
        "{{ datastore('teams').dev }}",
        event=json_file(tmp_path, "event.json", event),
        context=json_file(tmp_path, "context.json", {"Who": "ann"}),
    )
    assert (out.strip(), err) == ("Said dev 5 ann x@y", "")


def test_errors_have_a_position_and_warnings_do_not_change_the_output() -> None:
    with pytest.raises(CommandError, match=r"(?s)'uper'.*'upper'.*line 2.*\^"):
        run("a\n{{ 1|uper }}")
    out, err = run("[{{ Evnt.Name }}]")
    assert out.strip() == "[]"
    assert "Event" in err


def test_a_file_of_cases_gives_a_line_per_case() -> None:
    out, _ = run(cases=recorded.DATA / "cases.jsonl")
    outputs = [json.loads(line) for line in out.splitlines()]
    assert len(outputs) == len(recorded.CASES)
    for case, output in zip(recorded.CASES, outputs, strict=True):
        expected = case.ours()
        if expected == recorded.ERROR:
            assert set(output) == {"error"}, case
        elif not case.shape_only:
            assert output == {"ok": expected}, case


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nope", "cases.jsonl:2"),
        ('{"context": {}}', "template"),
        ('{"template": "x", "context": "none"}', "none"),
        ('{"template": "x", "datastore": 5}', "datastore"),
    ],
)
def test_an_invalid_file_of_cases_is_an_error_with_a_line(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f'{{"template": "x"}}\n{line}\n')
    with pytest.raises(CommandError, match=message):
        run(cases=file)


def test_a_missing_file_or_template_is_an_error() -> None:
    with pytest.raises(CommandError, match="none"):
        run(cases=Path("/none"))
    with pytest.raises(CommandError, match="--cases"):
        run()
