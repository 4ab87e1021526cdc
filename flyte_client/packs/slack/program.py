"""The Slack pack as a program."""

import os

from flyte_client.pack import Pack
from flyte_client.packs.common.program import run_program, run_with_workers
from flyte_client.packs.slack.commands import declare_commands
from flyte_client.packs.slack.event_mapping import EVENT_NAMES
from flyte_client.packs.slack.settings import read_settings
from flyte_client.packs.slack.socket_mode import SocketModeListener
from flyte_client.packs.slack.web_api import SlackClient

DESCRIPTION = (
    "Send messages to Slack for flows (FLYTE_SLACK_TOKEN), and send an event for each message and reaction that "
    "the bot receives (FLYTE_SLACK_APP_TOKEN). See the pack's README.md for all variables."
)


def main(arguments: list[str] | None = None) -> int:
    return run_program("Slack", DESCRIPTION, _run_pack, arguments)


def _run_pack() -> int:
    settings = read_settings(os.environ)
    slack = SlackClient(settings)
    pack = Pack("Slack")
    declare_commands(pack, slack)
    for event in EVENT_NAMES:
        pack.event(event)
    return run_with_workers(pack, SocketModeListener(pack, slack, settings).run)
