"""A backup every night, and a mail if it fails."""

import pytest

from .world import ExampleClient, states

pytestmark = pytest.mark.acceptance

FLOW = "backup.yaml"
TICK = {"timer": "backup", "time": "2026-11-21T02:30:00+01:00", "data": {"folder": "/srv/data"}}


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_mail_goes_out_only_if_the_backup_fails(world: ExampleClient, exit_code: int) -> None:
    timer, shell = world.pack("Timer"), world.pack("Shell", {"Shell": ["Output"]})
    email = world.pack("Email", {"SendEmail": ["EmailSent"]})
    timer.send_event("Tick", TICK)
    _, script = shell.do("Output", {"stdout": "", "stderr": "no space left", "exit_code": exit_code})
    assert script == {
        "command": 'tar --create --gzip --file "/tmp/backup-$DAY.tar.gz" -- "$FOLDER"',
        "env": {"DAY": "2026-11-21", "FOLDER": "/srv/data"},
    }
    if exit_code == 0:
        assert email.poll() is None
        return
    _, mail = email.do("EmailSent")
    assert mail == {
        "to": "operations@example.com",
        "subject": "The backup of 2026-11-21 failed",
        "text": "no space left",
    }
    assert states(world.execution("backup")) == {"back_up": "SUCCESS", "report_failure": "SUCCESS"}


def test_other_timers_make_no_backup(world: ExampleClient) -> None:
    world.pack("Timer").send_event("Tick", TICK | {"timer": "lunch"})
    assert world.executions("backup") == []
